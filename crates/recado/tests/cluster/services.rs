//! What people do: every service, through the client and through the library.

use recado_protocol::message::HistoryOf;

use crate::support::{Cluster, chat, eventually_async};

#[tokio::test(flavor = "multi_thread")]
async fn every_service_through_the_piped_client() {
    let cluster = Cluster::up(3);
    let said = cluster.run_with(
        &["client"],
        "login ana\ncreate general\npub general \"hello, all\"\nchannels\nusers\n\
         history general\nquit\n",
    );
    assert_eq!(said.code, Some(0), "{said:?}");
    for word in ["general", "ana", "hello, all"] {
        assert!(said.stdout.contains(word), "{word} is missing in {said:?}");
    }
    let said = cluster
        .run_with(&["client"], "login \"bia souza\"\nmsg ana \"for you\"\nhistory ana\nquit\n");
    assert_eq!(said.code, Some(0), "{said:?}");

    let client = chat::connect(&cluster).await;
    assert_eq!(client.users().await.unwrap(), ["ana", "bia souza"]);
    assert_eq!(client.channels().await.unwrap(), ["general"]);
    let inbox = chat::history(&client, HistoryOf::Inbox("ana".into())).await;
    assert_eq!(inbox.len(), 1);
    assert_eq!((inbox[0].from.as_str(), inbox[0].message.as_str()), ("bia souza", "for you"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_command_shows_in_the_exit_code_of_a_pipe() {
    let cluster = Cluster::up(1);
    let said = cluster.run_with(&["client"], "login ana\npub nowhere hello\nquit\n");
    assert_ne!(said.code, Some(0), "{said:?}");
    assert!(!said.stderr.contains("panicked"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_servers_give_the_same_answers() {
    let cluster = Cluster::up(3);
    let client = chat::connect(&cluster).await;
    for user in ["ana", "bia", "caio"] {
        client.login(user).await.unwrap();
    }
    client.create_channel("general").await.unwrap();
    for number in 0..60 {
        client.publish("ana", "general", &format!("message {number}")).await.unwrap();
        // The broker deals reads in turn: each answer comes from another server, and none may
        // be behind what was just acknowledged.
        let seen = chat::channel_history(&client, "general").await;
        assert_eq!(seen.len(), number + 1, "a server answered from the past");
    }
    let first = chat::channel_history(&client, "general").await;
    chat::check_order(&first);
    for _ in 0..9 {
        assert_eq!(chat::channel_history(&client, "general").await, first);
        assert_eq!(client.users().await.unwrap(), ["ana", "bia", "caio"]);
        assert_eq!(client.channels().await.unwrap(), ["general"]);
    }
    eventually_async("all servers have applied the same", 10, || async {
        let members = client.status().await.unwrap().members;
        let applied = members[0].applied;
        (members.len() == 3 && members.iter().all(|m| m.applied == applied)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledgements_say_where_a_message_is() {
    let cluster = Cluster::up(3);
    let client = chat::connect(&cluster).await;
    client.login("ana").await.unwrap();
    client.create_channel("general").await.unwrap();
    for number in 1..=5 {
        let ack = client.publish("ana", "general", "x").await.unwrap();
        assert_eq!((ack.seq, ack.stored, ack.members), (number, 3, 3));
    }
    let ack = client.message("ana", "ana", "a note").await.unwrap();
    assert_eq!((ack.seq, ack.stored), (1, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn bots_chat() {
    let cluster = Cluster::up(1);
    let mut cluster = cluster;
    cluster.start("bot", &["bot", "--pace-ms", "20", "--seed", "7"]);
    let client = chat::connect(&cluster).await;
    eventually_async("the bot made a channel and wrote a round", 30, || async {
        for channel in client.channels().await.unwrap() {
            if chat::channel_history(&client, &channel).await.len() >= 10 {
                return Some(());
            }
        }
        None
    })
    .await;
    assert_eq!(cluster.process("bot").stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clusters_run_side_by_side() {
    let [mut one, mut two] = Cluster::two();
    one.start_up(3, &[]);
    two.start_up(3, &[]);
    one.wait_active(3);
    two.wait_active(3);
    let (first, second) = (chat::connect(&one).await, chat::connect(&two).await);
    first.create_channel("of the first").await.unwrap();
    second.create_channel("of the second").await.unwrap();
    assert_eq!(first.channels().await.unwrap(), ["of the first"]);
    assert_eq!(second.channels().await.unwrap(), ["of the second"]);
    // The first holds the right to run both.
    drop(two);
    drop(one);
}
