"""libzmq's own proxy between publishers and subscribers: python zmq_proxy.py XSUB-PORT XPUB-PORT."""

import sys

import zmq

#: As many as Recado's proxy keeps on either side; with the default of 1000 it drops.
QUEUE_MESSAGES = 16 * 1024


def bound(context, kind, port):
    socket = context.socket(kind)
    socket.set_hwm(QUEUE_MESSAGES)
    socket.bind(f"tcp://127.0.0.1:{port}")
    return socket


context = zmq.Context()
publishers = bound(context, zmq.XSUB, int(sys.argv[1]))
subscribers = bound(context, zmq.XPUB, int(sys.argv[2]))
zmq.proxy(publishers, subscribers)
