import { WebSocket } from 'ws';
import { Channel } from '../../aggregation/channel.ts';
import type { Identity } from '../../aggregation/identity.ts';
import { type AgreementKey, ephemeralKey } from '../../aggregation/key-agreement.ts';
import { type Frame, type Link, SEAL_BYTES } from '../../aggregation/link.ts';
import { type Plan, planSchema, rosterHash, taskId } from '../../aggregation/plan.ts';
import type { Said, TenantId } from '../../aggregation/secure-sum.ts';
import {
  heardHash,
  type Place,
  type Relayed,
  sha256,
  signStatement,
  transcriptOf,
} from '../../aggregation/transcript.ts';
import {
  decodeFromClient,
  decodeFromCoordinator,
  encode,
  type FromClient,
  type FromCoordinator,
} from '../../aggregation/wire.ts';

export type Say = Extract<FromClient, { type: 'say' }>;
export type Ask = Extract<FromCoordinator, { type: 'ask' }>;

/**
 * A tenant's connection with somebody on it who has the tenant's key: sees every message, sends what he likes, and may
 * hold back what the honest program says. The sockets are real.
 */
export class TappedTenant {
  readonly received: FromCoordinator[] = [];
  readonly name: TenantId;
  readonly identity: Identity;
  /** Asked about every statement the honest program makes, its vector held until then. @returns false to hold it back */
  onSay: (say: Say, ask: Ask, vector: Uint8Array) => boolean = () => true;
  plan: Plan | undefined;
  closed: { readonly code: number } | undefined;
  readonly #socket: WebSocket;
  readonly #coordinatorKey: Uint8Array;
  /** of this connection: the honest program's too, when it speaks here */
  readonly agreement: AgreementKey = ephemeralKey();
  readonly #channel = new Channel('client', this.agreement);
  /** frames of the coordinator that were not its next on this connection */
  unverified = 0;
  #greeting: Uint8Array | undefined;
  readonly #parts: Uint8Array[] = [];
  #frame: (frame: Frame) => void = () => {};
  #gone: () => void = () => {};

  constructor(url: string, coordinatorKey: Uint8Array, name: TenantId, identity: Identity) {
    this.name = name;
    this.identity = identity;
    this.#coordinatorKey = coordinatorKey;
    this.#socket = new WebSocket(`${url.replace('http', 'ws')}/federation`, { perMessageDeflate: false });
    this.#socket.on('message', (bytes: Buffer) => this.#receive(bytes));
    this.#socket.on('error', () => {});
    this.#socket.on('close', (code) => {
      this.closed = { code };
      this.#gone();
    });
  }

  /** For the honest program. */
  get link(): Link {
    return {
      send: ({ body }) => {
        const message = decodeFromClient(body);
        if (message.type === 'part') return void this.#parts.push(message.bytes);
        // its very bytes: what it says later is over them
        if (message.type !== 'say') return this.#send({ bytes: body, hash: sha256(body) });
        const vector = Buffer.concat(this.#parts.splice(0));
        if (this.onSay(message, this.lastAsk, vector)) this.say(message, vector);
      },
      close: () => this.#socket.close(),
      onFrame: (handler) => {
        this.#frame = handler;
      },
      onClose: (handler) => {
        this.#gone = handler;
      },
    };
  }

  /** for its greeting */
  get exchange(): Uint8Array {
    return this.agreement.publicKey;
  }

  get lastAsk(): Ask {
    const ask = this.received.findLast((message) => message.type === 'ask');
    if (ask?.type !== 'ask') throw new Error('nothing was asked');
    return ask;
  }

  get refusals(): string[] {
    return this.received.flatMap((message) => (message.type === 'refused' ? [message.reason] : []));
  }

  /** @param vector - sent ahead of a statement; for tests in one part */
  say(message: FromClient, vector: Uint8Array = new Uint8Array(0)): void {
    if (message.type === 'say' && vector.length > 0) {
      const { task, epoch, round, stage, attempt } = message;
      this.say({ type: 'part', task, epoch, round, stage, attempt, at: 0, bytes: vector });
    }
    this.#send(encode(message));
  }

  /** What `say` would send now, its signature first. It counts as sent. */
  sealed(message: FromClient): Buffer {
    return bytesOf(this.#seal(encode(message)));
  }

  /** what it speaks over */
  get socket(): WebSocket {
    return this.#socket;
  }

  raw(data: string | Uint8Array): void {
    this.#socket.send(data);
  }

  close(): void {
    this.#socket.terminate();
  }

  /** A statement with the tenant's signature, made for this place: what is wrong with it is only what is said. */
  signed(ask: Ask, said: Said, place: Partial<Place> = {}): Say {
    const { federation, roster } = this.plan!;
    const { task, epoch, round, model, stage, attempt, head } = ask;
    const occasion = { federation, roster: rosterHash(roster), task, epoch, round, model, ledger: head.hash };
    const here = { transcript: transcriptOf(occasion), stage, attempt, heard: heardHash(ask.heard as Relayed[]) };
    const signature = signStatement(this.identity, this.name, { ...here, ...place }, said);
    return { type: 'say', task, epoch, round, stage, attempt, open: said.open, sealed: [...said.sealed], signature };
  }

  #send(body: Parameters<Channel['seal']>[0]): void {
    this.#socket.send(bytesOf(this.#seal(body)));
  }

  /** The coordinator takes the first for a greeting. */
  #seal(body: Parameters<Channel['seal']>[0]): Frame {
    const frame = this.#channel.seal(body, this.identity);
    if (this.#greeting !== undefined) this.#channel.agree(this.#greeting);
    this.#greeting = undefined;
    return frame;
  }

  #receive(bytes: Buffer): void {
    const frame = { seal: bytes.subarray(0, SEAL_BYTES), body: bytes.subarray(SEAL_BYTES) };
    if (!this.#channel.takes(frame, this.#coordinatorKey)) this.unverified += 1;
    const message = decodeFromCoordinator(frame.body);
    this.received.push(message);
    if (message.type === 'hello') this.#greeting = Uint8Array.from(message.exchange);
    if (message.type === 'plan') {
      const plan = planSchema.parse(JSON.parse(message.plan));
      if (taskId(plan) !== '') this.plan = plan;
    }
    this.#frame(frame);
  }
}

/** As one message on the wire. */
export const bytesOf = ({ seal, body }: Frame): Buffer => Buffer.concat([seal, body]);
