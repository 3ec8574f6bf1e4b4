//! A file system of files and folders that remembers what is durable.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};

use rand::rngs::StdRng;

use super::content::{Begun, Content, Lost, Luck, PAGE_BYTES};
use super::names::Names;

/// The number of the outermost folder.
pub const ROOT: u64 = 1;

/// Why something is not done. Each is one of the system's error numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such file or folder.
    Missing,
    /// There is one already.
    Exists,
    /// A folder still holds something.
    NotEmpty,
    /// A folder was expected.
    NoFolder,
    /// A file was expected.
    IsFolder,
    /// The disk is full.
    Full,
    /// The disk does not answer, or says that it failed.
    Broken,
}

enum Kind {
    File(Content),
    Folder(Names),
}

struct Node {
    kind: Kind,
    /// Rights, as Unix has them.
    mode: u16,
    /// How often it is open.
    opens: u32,
    /// When it was changed last, in changes of the whole tree.
    changed: u64,
}

/// What is known of a file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// Its number.
    pub number: u64,
    /// Whether it is a folder.
    pub folder: bool,
    /// Bytes in the file; 0 for a folder.
    pub length: u64,
    /// Rights, as Unix has them.
    pub mode: u16,
    /// Goes up with every change.
    pub changed: u64,
}

/// What a sync that has begun will have done when it is over.
pub enum Syncing {
    /// A file's bytes become durable.
    File(u64, Begun),
    /// A folder's names do.
    Folder(u64),
}

/// The whole file system.
pub struct Tree {
    nodes: BTreeMap<u64, Node>,
    next: u64,
    changes: u64,
    room_bytes: u64,
    /// Folders between which something was moved that no sync followed: as one step, so whoever
    /// syncs one of them syncs the other.
    linked: Vec<(u64, u64)>,
}

impl Tree {
    /// An empty file system with so much room.
    pub fn new(room_bytes: u64) -> Tree {
        let root = Node { kind: Kind::Folder(Names::default()), mode: 0o755, opens: 0, changed: 0 };
        Tree {
            nodes: [(ROOT, root)].into(),
            next: ROOT + 1,
            changes: 0,
            room_bytes,
            linked: Vec::new(),
        }
    }

    /// How many bytes files take up.
    pub fn used_bytes(&self) -> u64 {
        let pages = self.nodes.values().map(|node| match &node.kind {
            Kind::File(content) => content.pages(),
            Kind::Folder(_) => 0,
        });
        pages.sum::<u64>() * PAGE_BYTES
    }

    /// How many bytes fit in all.
    pub fn room_bytes(&self) -> u64 {
        self.room_bytes
    }

    /// Makes the disk smaller or larger.
    pub fn set_room(&mut self, bytes: u64) {
        self.room_bytes = bytes;
    }

    /// What is known of a number.
    pub fn about(&self, number: u64) -> Result<About, Refusal> {
        let node = self.nodes.get(&number).ok_or(Refusal::Missing)?;
        let (folder, length) = match &node.kind {
            Kind::File(content) => (false, content.length()),
            Kind::Folder(_) => (true, 0),
        };
        Ok(About { number, folder, length, mode: node.mode, changed: node.changed })
    }

    /// What a name in a folder stands for.
    pub fn find(&self, folder: u64, name: &OsStr) -> Result<About, Refusal> {
        let number = self.names(folder)?.get(name).ok_or(Refusal::Missing)?;
        self.about(number)
    }

    /// Everything in a folder.
    pub fn list(&self, folder: u64) -> Result<Vec<(OsString, About)>, Refusal> {
        let names = self.names(folder)?.iter();
        names.map(|(name, number)| Ok((name.to_owned(), self.about(number)?))).collect()
    }

    /// Makes a file or folder under a name that is free.
    pub fn make(
        &mut self,
        folder: u64,
        name: &OsStr,
        is_folder: bool,
        mode: u16,
    ) -> Result<About, Refusal> {
        if self.names(folder)?.get(name).is_some() {
            return Err(Refusal::Exists);
        }
        let number = self.next;
        self.next += 1;
        let kind = match is_folder {
            true => Kind::Folder(Names::default()),
            false => Kind::File(Content::default()),
        };
        self.nodes.insert(number, Node { kind, mode, opens: 0, changed: 0 });
        self.names_mut(folder)?.set(name, number);
        self.touch(number);
        self.about(number)
    }

    /// Takes a file's name away, or that of a folder that is empty.
    pub fn remove(&mut self, folder: u64, name: &OsStr, is_folder: bool) -> Result<(), Refusal> {
        let about = self.find(folder, name)?;
        match (is_folder, about.folder) {
            (true, false) => return Err(Refusal::NoFolder),
            (false, true) => return Err(Refusal::IsFolder),
            (true, true) if !self.names(about.number)?.is_empty() => return Err(Refusal::NotEmpty),
            _ => {}
        }
        self.names_mut(folder)?.remove(name);
        self.sweep();
        Ok(())
    }

    /// Gives something another name, which loses what it stood for.
    pub fn rename(
        &mut self,
        (from_folder, from): (u64, &OsStr),
        (to_folder, to): (u64, &OsStr),
    ) -> Result<(), Refusal> {
        let number = self.find(from_folder, from)?.number;
        if let Some(replaced) = self.names(to_folder)?.get(to)
            && let Kind::Folder(names) = &self.node(replaced)?.kind
            && !names.is_empty()
        {
            return Err(Refusal::NotEmpty);
        }
        if from_folder == to_folder {
            self.names_mut(from_folder)?.rename(from, to, number);
        } else {
            self.names_mut(to_folder)?.set(to, number);
            self.names_mut(from_folder)?.remove(from);
            self.linked.push((from_folder, to_folder));
        }
        self.sweep();
        Ok(())
    }

    /// Notes that a file is open once more, or once less.
    pub fn open(&mut self, number: u64, open: bool) -> Result<(), Refusal> {
        let node = self.nodes.get_mut(&number).ok_or(Refusal::Missing)?;
        node.opens = if open { node.opens + 1 } else { node.opens.saturating_sub(1) };
        if node.opens == 0 {
            self.sweep();
        }
        Ok(())
    }

    /// Bytes of a file.
    pub fn read(&self, number: u64, offset: u64, bytes: usize) -> Result<Vec<u8>, Refusal> {
        match &self.node(number)?.kind {
            Kind::File(content) => Ok(content.read(offset, bytes)),
            Kind::Folder(_) => Err(Refusal::IsFolder),
        }
    }

    /// Writes bytes of a file.
    pub fn write(&mut self, number: u64, offset: u64, bytes: &[u8]) -> Result<(), Refusal> {
        let used_bytes = self.used_bytes();
        let room_bytes = self.room_bytes;
        let content = self.content(number)?;
        let added_bytes = content.pages_added(offset, bytes.len()) * PAGE_BYTES;
        if added_bytes > 0 && used_bytes + added_bytes > room_bytes {
            return Err(Refusal::Full);
        }
        content.write(offset, bytes);
        self.touch(number);
        Ok(())
    }

    /// Cuts a file off, or adds zeros.
    pub fn cut(&mut self, number: u64, length: u64) -> Result<(), Refusal> {
        self.content(number)?.cut(length);
        self.touch(number);
        Ok(())
    }

    /// Sets rights.
    pub fn set_mode(&mut self, number: u64, mode: u16) -> Result<(), Refusal> {
        self.nodes.get_mut(&number).ok_or(Refusal::Missing)?.mode = mode;
        Ok(())
    }

    /// Begins a sync of a file or folder.
    pub fn begin_sync(&self, number: u64) -> Result<Syncing, Refusal> {
        Ok(match &self.node(number)?.kind {
            Kind::File(content) => Syncing::File(number, content.begin_sync()),
            Kind::Folder(_) => Syncing::Folder(number),
        })
    }

    /// Ends a sync well.
    pub fn end_sync(&mut self, syncing: Syncing) {
        match syncing {
            Syncing::File(number, begun) => {
                // A file that is gone meanwhile needs none.
                if let Ok(content) = self.content(number) {
                    content.end_sync(begun);
                }
            }
            Syncing::Folder(number) => self.sync_folder(number),
        }
    }

    /// Ends a sync with an error.
    pub fn fail_sync(&mut self, syncing: &Syncing, luck: Luck, rng: &mut StdRng) {
        if let Syncing::File(number, _) = syncing
            && let Ok(content) = self.content(*number)
        {
            content.fail_sync(luck, rng);
            self.touch(*number);
        }
    }

    /// Everything that was not synced is gone, but for what luck leaves of it.
    pub fn crash(&mut self, luck: Luck, rng: &mut StdRng) -> Lost {
        let mut lost = Lost::default();
        for (from, to) in std::mem::take(&mut self.linked) {
            // A move between folders is one step of both.
            if rand::RngExt::random_bool(rng, luck.survives) {
                self.sync_folder(from);
                self.sync_folder(to);
            }
        }
        for node in self.nodes.values_mut() {
            match &mut node.kind {
                Kind::File(content) => {
                    let more = content.crash(luck, rng);
                    lost.forgotten += more.forgotten;
                    lost.survived += more.survived;
                }
                Kind::Folder(names) => names.crash(luck, rng),
            }
            self.changes += 1;
            node.changed = self.changes;
        }
        self.sweep();
        lost
    }

    /// Makes everything durable.
    #[cfg(test)]
    pub fn sync_all(&mut self) {
        for node in self.nodes.values_mut() {
            match &mut node.kind {
                Kind::File(content) => {
                    let begun = content.begin_sync();
                    content.end_sync(begun);
                }
                Kind::Folder(names) => names.sync(),
            }
        }
        self.linked.clear();
        self.sweep();
    }

    fn sync_folder(&mut self, number: u64) {
        let mut folders: BTreeSet<u64> = [number].into();
        let (mine, others) = std::mem::take(&mut self.linked)
            .into_iter()
            .partition(|(from, to)| *from == number || *to == number);
        self.linked = others;
        folders.extend(Vec::into_iter(mine).flat_map(|(from, to): (u64, u64)| [from, to]));
        for folder in folders {
            if let Ok(names) = self.names_mut(folder) {
                names.sync();
            }
        }
        self.sweep();
    }

    fn touch(&mut self, number: u64) {
        self.changes += 1;
        if let Some(node) = self.nodes.get_mut(&number) {
            node.changed = self.changes;
        }
    }

    /// Drops what has no name, neither now nor on the disk, and is not open.
    fn sweep(&mut self) {
        let mut named = BTreeSet::new();
        let mut open: Vec<u64> =
            self.nodes.iter().filter(|(_, node)| node.opens > 0).map(|(n, _)| *n).collect();
        open.push(ROOT);
        while let Some(number) = open.pop() {
            if named.insert(number)
                && let Some(Node { kind: Kind::Folder(names), .. }) = self.nodes.get(&number)
            {
                open.extend(names.numbers());
            }
        }
        self.nodes.retain(|number, _| named.contains(number));
    }

    fn node(&self, number: u64) -> Result<&Node, Refusal> {
        self.nodes.get(&number).ok_or(Refusal::Missing)
    }

    fn content(&mut self, number: u64) -> Result<&mut Content, Refusal> {
        match &mut self.nodes.get_mut(&number).ok_or(Refusal::Missing)?.kind {
            Kind::File(content) => Ok(content),
            Kind::Folder(_) => Err(Refusal::IsFolder),
        }
    }

    fn names(&self, number: u64) -> Result<&Names, Refusal> {
        match &self.node(number)?.kind {
            Kind::Folder(names) => Ok(names),
            Kind::File(_) => Err(Refusal::NoFolder),
        }
    }

    fn names_mut(&mut self, number: u64) -> Result<&mut Names, Refusal> {
        match &mut self.nodes.get_mut(&number).ok_or(Refusal::Missing)?.kind {
            Kind::Folder(names) => Ok(names),
            Kind::File(_) => Err(Refusal::NoFolder),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const NOTHING: Luck = Luck { survives: 0.0 };

    fn tree() -> Tree {
        Tree::new(1 << 20)
    }

    fn name(text: &str) -> &OsStr {
        OsStr::new(text)
    }

    fn file(tree: &mut Tree, folder: u64, called: &str, bytes: &[u8]) -> u64 {
        let number = tree.make(folder, name(called), false, 0o600).unwrap().number;
        tree.write(number, 0, bytes).unwrap();
        number
    }

    fn sync(tree: &mut Tree, number: u64) {
        let syncing = tree.begin_sync(number).unwrap();
        tree.end_sync(syncing);
    }

    fn crash(tree: &mut Tree) -> Lost {
        tree.crash(NOTHING, &mut StdRng::seed_from_u64(1))
    }

    #[test]
    fn a_file_needs_its_folders_sync_too() {
        let mut tree = tree();
        let number = file(&mut tree, ROOT, "log", b"entries");
        sync(&mut tree, number);
        crash(&mut tree);
        assert_eq!(tree.find(ROOT, name("log")), Err(Refusal::Missing));
        let number = file(&mut tree, ROOT, "log", b"entries");
        sync(&mut tree, number);
        sync(&mut tree, ROOT);
        crash(&mut tree);
        assert_eq!(tree.read(number, 0, 100).unwrap(), b"entries");
    }

    #[test]
    fn a_removed_file_is_back_until_the_folder_is_synced() {
        let mut tree = tree();
        let number = file(&mut tree, ROOT, "log", b"entries");
        tree.sync_all();
        tree.remove(ROOT, name("log"), false).unwrap();
        crash(&mut tree);
        assert_eq!(tree.read(number, 0, 100).unwrap(), b"entries");
        tree.remove(ROOT, name("log"), false).unwrap();
        sync(&mut tree, ROOT);
        crash(&mut tree);
        assert_eq!((tree.about(number), tree.used_bytes()), (Err(Refusal::Missing), 0));
    }

    #[test]
    fn what_is_moved_is_in_one_of_both_folders() {
        for synced in [None, Some(true), Some(false)] {
            let mut tree = tree();
            let aside = tree.make(ROOT, name("aside"), true, 0o700).unwrap().number;
            let number = file(&mut tree, ROOT, "store", b"rows");
            tree.sync_all();
            tree.rename((ROOT, name("store")), (aside, name("store"))).unwrap();
            if let Some(target) = synced {
                sync(&mut tree, if target { aside } else { ROOT });
            }
            crash(&mut tree);
            let places = [tree.find(ROOT, name("store")), tree.find(aside, name("store"))];
            let found: Vec<u64> = places.iter().flatten().map(|about| about.number).collect();
            assert_eq!(found, [number], "{synced:?}");
            assert_eq!(places[1].is_ok(), synced.is_some());
        }
    }

    #[test]
    fn a_full_disk_takes_nothing_more_but_what_is_there_already() {
        let mut tree = Tree::new(2 * PAGE_BYTES);
        let number = file(&mut tree, ROOT, "a", &[1; 5000]);
        assert_eq!(tree.write(number, 8000, &[2; 1000]), Err(Refusal::Full));
        tree.write(number, 0, &[3; 5000]).unwrap();
        tree.cut(number, 100).unwrap();
        tree.write(number, 4000, &[4; 1000]).unwrap();
    }

    #[test]
    fn what_is_open_lives_without_a_name() {
        let mut tree = tree();
        let number = file(&mut tree, ROOT, "a", b"still read");
        tree.open(number, true).unwrap();
        tree.remove(ROOT, name("a"), false).unwrap();
        tree.sync_all();
        assert_eq!(tree.read(number, 0, 100).unwrap(), b"still read");
        tree.open(number, false).unwrap();
        assert_eq!(tree.read(number, 0, 100), Err(Refusal::Missing));
    }

    #[test]
    fn folders_are_not_files() {
        let mut tree = tree();
        let folder = tree.make(ROOT, name("log"), true, 0o700).unwrap().number;
        file(&mut tree, folder, "chunk", b"1");
        assert_eq!(tree.remove(ROOT, name("log"), true), Err(Refusal::NotEmpty));
        assert_eq!(tree.remove(ROOT, name("log"), false), Err(Refusal::IsFolder));
        assert_eq!(tree.make(ROOT, name("log"), false, 0), Err(Refusal::Exists));
        assert_eq!(tree.write(folder, 0, b"x"), Err(Refusal::IsFolder));
        tree.remove(folder, name("chunk"), false).unwrap();
        tree.remove(ROOT, name("log"), true).unwrap();
        assert!(tree.list(ROOT).unwrap().is_empty());
    }
}
