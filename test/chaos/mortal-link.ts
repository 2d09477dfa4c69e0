import type { Link } from '../../aggregation/link.ts';
import {
  decodeFromClient,
  decodeFromCoordinator,
  type FromClient,
  type FromCoordinator,
} from '../../aggregation/wire.ts';
import { Dead } from './fate.ts';

/** A client's end of a connection: everything on it may be the last thing that its process does. */
export interface Tap {
  readonly isAlive: () => boolean;
  /** @param pass - what happens when nothing ends the process before */
  received(message: FromCoordinator, pass: () => void): void;
  /** @throws Dead */
  sent(message: FromClient, pass: () => void): void;
}

export function tapped(link: Link, tap: Tap): Link {
  return {
    send(frame, left) {
      if (!tap.isAlive()) throw new Dead();
      tap.sent(decodeFromClient(frame.body), () => link.send(frame, left));
    },
    close: () => link.close(),
    onFrame: (handler) =>
      link.onFrame((frame) => {
        if (!tap.isAlive()) return;
        tap.received(decodeFromCoordinator(frame.body), () => handler(frame));
      }),
    onClose: (handler) => link.onClose(handler),
  };
}

/** The coordinator's end: whoever has died sends nothing, and hears nothing. */
export function untilDeath(link: Link, isAlive: () => boolean): Link {
  return {
    send: (frame, left) => (isAlive() ? link.send(frame, left) : undefined),
    close: () => (isAlive() ? link.close() : undefined),
    onFrame: (handler) =>
      link.onFrame((frame) => {
        if (!isAlive()) return;
        try {
          handler(frame);
        } catch (error) {
          if (!(error instanceof Dead)) throw error;
        }
      }),
    onClose: (handler) => link.onClose(() => (isAlive() ? handler() : undefined)),
  };
}

/** A message in words. */
export function inWords(message: FromClient | FromCoordinator): string {
  const { type } = message;
  return type === 'ask' || type === 'say' || type === 'part'
    ? `${type} ${message.epoch}/${message.round}/${message.stage}/${message.attempt}`
    : type;
}
