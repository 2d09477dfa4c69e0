import type { Frame, Link } from '../aggregation/link.ts';

/** Two ends of a connection within one process. Frames arrive in order, each in a turn of its own, as from a socket. */
export function memoryLinks(): [Link, Link] {
  const left = end();
  const right = end();
  left.peer = right;
  right.peer = left;
  return [left.link, right.link];
}

interface End {
  peer: End;
  link: Link;
  frame: (frame: Frame) => void;
  closed: () => void;
  open: boolean;
}

function end(): End {
  const self = { open: true, frame: () => {}, closed: () => {} } as unknown as End;
  self.link = {
    send: (frame, left) => {
      setImmediate(() => {
        if (!self.peer.open) return;
        self.peer.frame(frame);
        left?.();
      });
    },
    close: () => {
      for (const side of [self, self.peer])
        if (side.open) {
          side.open = false;
          setImmediate(side.closed);
        }
    },
    onFrame: (handler) => {
      self.frame = handler;
    },
    onClose: (handler) => {
      self.closed = handler;
    },
  };
  return self;
}
