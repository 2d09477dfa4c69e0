import { Channel } from '../../aggregation/channel.ts';
import { createIdentity, type Identity } from '../../aggregation/identity.ts';
import type { Frame, Link } from '../../aggregation/link.ts';
import { type Plan, planSchema, rosterHash, taskId } from '../../aggregation/plan.ts';
import type { Said, TenantId } from '../../aggregation/secure-sum.ts';
import { heardHash, signStatement, transcriptOf } from '../../aggregation/transcript.ts';
import {
  answerDigest,
  decodeFromCoordinator,
  encode,
  type FromClient,
  type FromCoordinator,
  PART_BYTES,
  PROTOCOL,
} from '../../aggregation/wire.ts';
import { cosigned } from '../../aggregation/witness.ts';
import type { Coordinator } from '../../coordinator/coordinator.ts';
import { memoryLinks } from '../../simulation/memory-link.ts';

export type Ask = Extract<FromCoordinator, { type: 'ask' }>;

/**
 * A tenant that joins every task and cosigns everything, and answers what it is asked as the test says: it has the key of an
 * honest one and no program. For vectors of megabytes that nobody has to train.
 */
export class ScriptedTenant {
  readonly name: TenantId;
  readonly identity: Identity = createIdentity();
  readonly asks: Ask[] = [];
  readonly refusals: string[] = [];
  /** rounds whose sum it was told, in order */
  readonly opened: number[] = [];
  onAsk: (ask: Ask) => void = () => {};
  onPlan: (plan: Plan) => void = () => {};
  isConnected = false;
  plan: Plan | undefined;
  #link: Link | undefined;
  #channel = new Channel('client');
  #coordinatorKey: Uint8Array | undefined;
  /** entries of the ledger that it says it has */
  ledger = 0;

  constructor(name: TenantId) {
    this.name = name;
  }

  /** Takes the place of an older connection. */
  connect(coordinator: Coordinator, [here, there]: readonly [Link, Link] = memoryLinks()): void {
    this.#link = here;
    this.#channel = new Channel('client');
    this.#coordinatorKey = undefined;
    this.isConnected = true;
    here.onFrame((frame) => {
      if (this.#link === here) this.#hear(this.#opened(frame));
    });
    here.onClose(() => {
      if (this.#link === here) this.isConnected = false;
    });
    coordinator.connect(there);
  }

  disconnect(): void {
    this.#link?.close();
  }

  get lastAsk(): Ask {
    const ask = this.asks.at(-1);
    if (ask === undefined) throw new Error(`${this.name} was asked nothing`);
    return ask;
  }

  send(message: FromClient): void {
    this.#link?.send(this.#channel.seal(encode(message), this.identity));
  }

  part(ask: Ask, at: number, bytes: Uint8Array): void {
    this.send({ type: 'part', ...whereOf(ask), at, bytes });
  }

  /** All of a vector from byte `from` on, not waiting for anything. */
  parts(ask: Ask, vector: Uint8Array, from: number = ask.have): void {
    for (let at = from; at < vector.length; at += PART_BYTES) this.part(ask, at, vector.subarray(at, at + PART_BYTES));
  }

  /** The statement, signed for the place it was asked at. */
  say(ask: Ask, said: Partial<Said>): void {
    const { open = new Uint8Array(0), sealed = new Map(), vector } = said;
    const { federation, roster } = this.plan!;
    const { task, epoch, round, model, stage, attempt, head } = ask;
    const occasion = { federation, roster: rosterHash(roster), task, epoch, round, model, ledger: head.hash };
    const place = { transcript: transcriptOf(occasion), stage, attempt, heard: heardHash(ask.heard) };
    const all = { open, sealed, ...(vector ? { vector } : {}) };
    const signature = signStatement(this.identity, this.name, place, all);
    this.send({ type: 'say', ...whereOf(ask), open, sealed: [...sealed], signature });
  }

  #opened(frame: Frame): FromCoordinator {
    const message = decodeFromCoordinator(frame.body);
    if (message.type === 'hello') this.#coordinatorKey = Uint8Array.from(message.key);
    if (!this.#channel.takes(frame, this.#coordinatorKey)) throw new Error(`"${message.type}" does not verify`);
    return message;
  }

  #hear(message: FromCoordinator): void {
    if ('ledger' in message) this.ledger += message.ledger.entries.length;
    switch (message.type) {
      case 'hello': {
        const who = { protocol: PROTOCOL, version: 'test', tenant: this.name, ledger: this.ledger, open: [] };
        this.send({ type: 'identify', ...who, exchange: this.#channel.exchange });
        return this.#channel.agree(message.exchange);
      }
      case 'plan': {
        this.plan = planSchema.parse(JSON.parse(message.plan));
        this.onPlan(this.plan);
        const accept = { type: 'accept', task: taskId(this.plan), round: 0, dataset: '0'.repeat(64) } as const;
        return this.send({ ...accept, signature: this.identity.sign(answerDigest(this.name, accept)) });
      }
      case 'witness': {
        const line = cosigned(message.ledger.note, this.name, this.identity, Date.now());
        return this.send({ type: 'cosign', size: this.ledger, line });
      }
      case 'refused':
        return void this.refusals.push(message.reason);
      case 'opened':
        return void this.opened.push(message.round);
      case 'ask':
        this.asks.push(message);
        return this.onAsk(message);
    }
  }
}

const whereOf = ({ task, epoch, round, stage, attempt }: Ask) => ({ task, epoch, round, stage, attempt });
