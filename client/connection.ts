import { Channel, Unverified } from '../aggregation/channel.ts';
import type { AgreementKey } from '../aggregation/key-agreement.ts';
import type { Frame, Link } from '../aggregation/link.ts';
import { decodeFromCoordinator, encode, type FromClient, type FromCoordinator } from '../aggregation/wire.ts';
import { type Hello, identification } from './greeting.ts';
import type { ClientWorld } from './participant.ts';

/**
 * One connection to the coordinator, as this tenant has it: whatever is heard was said by the coordinator that the policy
 * pins, on this connection and in this place; whatever is spoken is sealed so.
 */
export class Connection {
  readonly #world: ClientWorld;
  readonly #link: Link;
  readonly #channel: Channel;
  #hello: Hello | undefined;
  /** what the coordinator's program calls its version; undefined before its welcome */
  welcomed: string | undefined;

  /** @param agreement - of this connection alone */
  constructor(world: ClientWorld, link: Link, agreement?: AgreementKey) {
    this.#world = world;
    this.#channel = new Channel('client', agreement);
    this.#link = link;
  }

  /** The pinned coordinator's. @throws Unverified before the greeting */
  get coordinatorKey(): Uint8Array {
    return this.#greeted().key;
  }

  /** The coordinator's key of this connection alone. @throws Unverified before it */
  get exchange(): Uint8Array {
    return this.#greeted().exchange;
  }

  /** The protocol that the greeting names, which nobody confirms before a later frame verifies. */
  get protocol(): number {
    return this.#greeted().protocol;
  }

  /**
   * What the coordinator says. A greeting is answered.
   *
   * @throws Unverified when it is not the coordinator that says it, or not here and now
   * @throws WireRefused when it is, and it is no message
   */
  hear(frame: Frame): FromCoordinator {
    if (this.#hello === undefined) return this.#greet(frame);
    if (!this.#channel.takes(frame, this.#hello.key))
      throw new Unverified(
        'the seal does not verify: not a frame of the coordinator, or of another connection, or not the next of this one',
      );
    return decodeFromCoordinator(frame.body);
  }

  readonly speak: Speak = (message) => {
    this.#link.send(this.#channel.seal(encode(message), this.#world.identity));
  };

  #greet(frame: Frame): Hello {
    const hello = greetingIn(frame);
    if (!this.#channel.takes(frame, hello.key))
      throw new Unverified("the coordinator's greeting is not signed by its key");
    const answer = identification(this.#world, hello, this.#channel.exchange);
    // kept for as long as the connection, and the frame it came in need not be
    this.#hello = { ...hello, key: Uint8Array.from(hello.key), exchange: Uint8Array.from(hello.exchange) };
    this.speak(answer);
    this.#channel.agree(this.#hello.exchange);
    return this.#hello;
  }

  #greeted(): Hello {
    if (this.#hello === undefined) throw new Unverified('a message before a greeting');
    return this.#hello;
  }
}

/** Says something to the coordinator. */
export type Speak = (message: FromClient) => void;

function greetingIn({ body }: Frame): Hello {
  try {
    const message = decodeFromCoordinator(body);
    if (message.type === 'hello') return message;
  } catch {
    // what it is instead nobody has signed
  }
  throw new Unverified('no greeting of a Parley coordinator; is the same version installed there?');
}
