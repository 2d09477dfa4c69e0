import { type Body, Channel } from '../../aggregation/channel.ts';
import type { Identity } from '../../aggregation/identity.ts';
import type { Frame } from '../../aggregation/link.ts';
import { type Plan, planSchema, taskId } from '../../aggregation/plan.ts';
import type { TenantId } from '../../aggregation/secure-sum.ts';
import { sha256 } from '../../aggregation/transcript.ts';
import { answerDigest, decodeFromCoordinator, type FromCoordinator, PROTOCOL } from '../../aggregation/wire.ts';
import type { Coordinator } from '../../coordinator/coordinator.ts';
import { packed } from './decoder.ts';
import { mustHold } from './target.ts';

export type Ask = Extract<FromCoordinator, { type: 'ask' }>;
export type Told = FromCoordinator['type'];

/**
 * A connection to a coordinator with no program behind it: says what it is told to, keeps what it hears. Nothing happens on it
 * but when it is called, so that whatever the coordinator throws is thrown here.
 */
export class Speaker {
  readonly name: TenantId;
  readonly identity: Identity;
  readonly asks: Ask[] = [];
  readonly plans = new Map<string, Plan>();
  /** in order, since somebody looked last */
  told: Told[] = [];
  /** the coordinator's key of this connection */
  exchange: Uint8Array = new Uint8Array(32);
  note = '';
  ledger = 0;
  isOpen = false;
  /** what it sent last of a vector, as a whole */
  vector: Uint8Array = new Uint8Array(0);
  /** the last frame it sent */
  last: Frame | undefined;
  #channel = new Channel('client');
  #agreesNext = true;
  readonly #verifies: boolean;
  #key: Uint8Array | undefined;
  #handler: (frame: Frame) => void = () => {};
  #closed: () => void = () => {};
  #inbox: Frame[] = [];

  /** @param verifies - whether what it hears must be signed for this connection: not where its own greeting is none */
  constructor(name: TenantId, identity: Identity, verifies = true) {
    this.name = name;
    this.identity = identity;
    this.#verifies = verifies;
  }

  /** Without a word; `introduce` says who it is. */
  connect(coordinator: Coordinator): void {
    this.#channel = new Channel('client');
    this.#agreesNext = true;
    this.#key = undefined;
    this.#inbox = [];
    this.isOpen = true;
    coordinator.connect({
      send: (frame, left) => {
        this.#inbox.push(frame);
        left?.();
      },
      close: () => this.#close(),
      onFrame: (handler) => {
        this.#handler = handler;
      },
      onClose: (handler) => {
        this.#closed = handler;
      },
    });
    this.listen();
  }

  introduce(): void {
    const { name: tenant, ledger } = this;
    this.say({
      type: 'identify',
      protocol: PROTOCOL,
      version: 'fuzzed',
      tenant,
      ledger,
      open: [],
      exchange: this.#channel.exchange,
    });
  }

  /** Accepts every plan it knows: it is told the rest then. */
  accept(): void {
    for (const task of this.plans.keys()) {
      const accept = { type: 'accept', task, round: 0, dataset: '0'.repeat(64) } as const;
      this.say({ ...accept, signature: this.identity.sign(answerDigest(this.name, accept)) });
    }
  }

  /** Anything at all, signed as its next frame. */
  say(message: unknown): void {
    this.sayBytes(packed(message));
  }

  sayBytes(bytes: Uint8Array): void {
    const body: Body = { bytes, hash: sha256(bytes) };
    const frame = this.#channel.seal(body, this.identity);
    if (this.#agreesNext) this.#channel.agree(this.exchange);
    this.#agreesNext = false;
    this.deliver(frame);
  }

  /** A body under a seal that somebody made up, as its next frame. */
  sayUnder(seal: Uint8Array, body: Uint8Array): void {
    this.deliver({ seal, body });
  }

  /** A frame as it stands, whatever this side has said before. */
  deliver(frame: Frame): void {
    if (!this.isOpen) return;
    this.last = frame;
    this.#handler(frame);
    this.listen();
  }

  disconnect(): void {
    this.#close();
  }

  /** Takes in what has arrived. @throws Finding when the coordinator says what is no message, or does not sign it */
  listen(): void {
    for (const frame of this.#inbox.splice(0)) this.#hear(frame);
  }

  #hear(frame: Frame): void {
    let message: FromCoordinator;
    try {
      message = decodeFromCoordinator(frame.body);
    } catch (error) {
      const said = (error as Error).message.replace(/[0-9]+/g, 'N');
      return mustHold(false, `the coordinator says what no client reads: ${said}`);
    }
    if (message.type === 'hello') {
      this.#key = Uint8Array.from(message.key);
      this.exchange = Uint8Array.from(message.exchange);
    }
    const isSigned = this.#channel.takes(frame, this.#key);
    mustHold(isSigned || !this.#verifies, 'the coordinator says what it has not signed');
    this.told.push(message.type);
    if ('ledger' in message) {
      this.ledger += message.ledger.entries.length;
      this.note = message.ledger.note;
    }
    if (message.type === 'ask') this.#asked(message);
    if (message.type === 'plan') {
      const plan = planSchema.parse(JSON.parse(message.plan));
      this.plans.set(taskId(plan), plan);
    }
  }

  #asked(ask: Ask): void {
    const at = this.asks.findIndex(({ task }) => task === ask.task);
    if (at < 0) this.asks.push(ask);
    else this.asks[at] = ask;
  }

  #close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.listen();
    this.#closed();
  }
}
