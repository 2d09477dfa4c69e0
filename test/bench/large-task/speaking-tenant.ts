import type { Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { Channel } from '../../../aggregation/channel.ts';
import { createIdentity } from '../../../aggregation/identity.ts';
import { hex, type Plan, planSchema, rosterHash, shapeOf, taskId } from '../../../aggregation/plan.ts';
import { protocolNamed } from '../../../aggregation/protocols.ts';
import type { Heard, HeardAll, Said, TenantEpoch, TenantId, TenantRound } from '../../../aggregation/secure-sum.ts';
import {
  epochOccasion,
  heardHash,
  type Relayed,
  signStatement,
  transcriptOf,
} from '../../../aggregation/transcript.ts';
import { webSocketLink } from '../../../aggregation/websocket-link.ts';
import {
  answerDigest,
  decodeFromCoordinator,
  encode,
  type FromClient,
  type FromCoordinator,
  PROTOCOL,
} from '../../../aggregation/wire.ts';
import { cosigned } from '../../../aggregation/witness.ts';
import { type Upload, upload } from '../../../client/upload.ts';
import type { Noised } from '../../../privacy/steps.ts';

type Ask = Extract<FromCoordinator, { type: 'ask' }>;

let turn: Promise<unknown> = Promise.resolve();

/** One tenant of this process at a time, and the network in between: whoever computes for long answers no pings, and is cut off. */
function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const mine = turn.then(() => setImmediate()).then(work);
  turn = mine.catch(() => {});
  return mine;
}

/**
 * A tenant that says everything a tenant says, over a real connection, and has no customers: what it contributes is
 * `values`, and it believes whatever it is told. For measuring what a coordinator needs.
 */
export class SpeakingTenant {
  readonly name: TenantId;
  readonly identity: ReturnType<typeof createIdentity> = createIdentity();
  readonly #values: (length: number) => Noised;
  readonly #plans = new Map<string, Plan>();
  #coordinatorKey: Uint8Array | undefined;
  #ledger = 0;
  #epoch: { readonly number: number; readonly keys: TenantEpoch } | undefined;
  #round: { readonly number: number; readonly protocol: TenantRound; contributions: HeardAll } | undefined;
  #upload: Upload | undefined;
  #queue: Promise<void> = Promise.resolve();
  #socket: WebSocket | undefined;
  #tcp: Socket | undefined;
  #sips: NodeJS.Timeout | undefined;
  #readOn: () => void = () => {};
  /** rounds whose sum it was told over the connection it has now, in order */
  opened: number[] = [];
  /** told of each message when it has answered */
  onHeard: (message: FromCoordinator) => void = () => {};
  /** what it was asked last */
  asked: Ask | undefined;
  /** Over the connection it has now. @param left - as `Link.send` calls it */
  say: (message: FromClient, left?: () => void) => void = () => {};
  /** when its first task is over, and how */
  readonly over: Promise<string>;
  /** when the coordinator has let it in */
  readonly welcomed: Promise<void>;
  #end: (outcome: string) => void = () => {};
  #welcome: () => void = () => {};

  constructor(name: TenantId, values: (length: number) => Noised) {
    this.name = name;
    this.#values = values;
    this.over = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.welcomed = new Promise((resolve) => {
      this.#welcome = resolve;
    });
  }

  /** @param from - the address it comes from, where the machine has several */
  connect(url: string, from?: string): void {
    clearInterval(this.#sips);
    this.opened = [];
    const local = from === undefined ? {} : { localAddress: from };
    const most = 2 ** 30;
    this.#socket = new WebSocket(url, { perMessageDeflate: false, maxPayload: most, ...local });
    this.#socket.once('upgrade', ({ socket }) => {
      this.#tcp = socket;
    });
    const link = webSocketLink(this.#socket);
    const channel = new Channel('client');
    const send: typeof this.say = (message, left) => link.send(channel.seal(encode(message), this.identity), left);
    this.say = send;
    link.onFrame((frame) => {
      this.#queue = this.#queue
        .then(async () => {
          const message = decodeFromCoordinator(frame.body);
          if (message.type === 'hello') this.#coordinatorKey = Uint8Array.from(message.key);
          if (!channel.takes(frame, this.#coordinatorKey)) throw new Error(`"${message.type}" does not verify`);
          if ('ledger' in message) this.#ledger += message.ledger.entries.length;
          if (message.type === 'ask') this.asked = message;
          if (message.type === 'ask')
            this.#upload = upload(send, await inTurn(() => this.#answer(message)), message.have);
          else if (message.type === 'have') this.#upload?.heard(message);
          else if (message.type === 'hello') {
            this.#greet(send, channel.exchange);
            channel.agree(message.exchange);
          } else await this.#hear(message, send);
          this.onHeard(message);
        })
        .catch((error: unknown) => {
          this.#end(String(error));
          link.close();
        });
    });
    link.onClose(() => this.#end('the coordinator went away'));
  }

  /** From now on, one piece of what has arrived every few seconds: enough to show that it is there. */
  readSlowly(): void {
    const [socket, tcp] = [this.#socket!, this.#tcp!];
    const pause = (): void => socket.pause();
    pause();
    this.#sips = setInterval(() => {
      tcp.off('data', pause).once('data', pause);
      socket.resume();
    }, 4_000).unref();
    this.#readOn = () => {
      clearInterval(this.#sips);
      tcp.off('data', pause);
      socket.resume();
    };
  }

  readAgain(): void {
    this.#readOn();
  }

  /** Tasks that it was told of. */
  get tasks(): number {
    return this.#plans.size;
  }

  #greet(send: (message: FromClient) => void, exchange: Uint8Array): void {
    const who = {
      protocol: PROTOCOL,
      version: 'bench',
      tenant: this.name,
      ledger: this.#ledger,
      open: [...this.#plans.keys()],
    };
    send({ type: 'identify', ...who, exchange });
  }

  async #hear(message: FromCoordinator, send: (message: FromClient) => void): Promise<void> {
    switch (message.type) {
      case 'welcome':
        return this.#welcome();
      case 'plan': {
        const plan = planSchema.parse(JSON.parse(message.plan));
        this.#plans.set(taskId(plan), plan);
        const accept = { type: 'accept', task: taskId(plan), round: 0, dataset: '0'.repeat(64) } as const;
        return send({ ...accept, signature: this.identity.sign(answerDigest(this.name, accept)) });
      }
      case 'witness': {
        const line = cosigned(message.ledger.note, this.name, this.identity, Date.now());
        return send({ type: 'cosign', size: this.#ledger, line });
      }
      case 'opened':
        return void this.opened.push(message.round);
      case 'keyed':
        return this.#epoch!.keys.keyed(heardIn(message.heard));
      case 'over':
        return this.#end(message.outcome === 'finished' ? 'finished' : message.reason);
      case 'refused':
        return this.#end(`refused: ${message.about}: ${message.reason}`);
    }
  }

  async #answer(ask: Ask): Promise<Parameters<typeof upload>[1]> {
    const plan = this.#plans.get(ask.task)!;
    const { epoch, round, model, stage, attempt, head } = ask;
    const { federation, roster } = plan;
    const transcript = transcriptOf({
      ...{ federation, roster: rosterHash(roster), task: ask.task, epoch, round, model, ledger: head.hash },
    });
    const said = await this.#say(ask, plan, transcript);
    const place = { transcript, stage, attempt, heard: heardHash(ask.heard) };
    const signature = signStatement(this.identity, this.name, place, said);
    const { open, sealed, vector } = said;
    const say = { type: 'say' as const, task: ask.task, epoch, round, stage, attempt, open, signature };
    return { say: { ...say, sealed: [...sealed] }, ...(vector ? { vector } : {}) };
  }

  async #say(ask: Ask, plan: Plan, transcript: Uint8Array): Promise<Said> {
    const protocol = protocolNamed(plan.settings.secureSum.protocol);
    const heard = heardIn(ask.heard);
    if (this.#epoch?.number !== ask.epoch) {
      // without keying stages an epoch begins with its first round; its transcript is the epoch's all the same
      const { federation, roster } = plan;
      const own = { federation, roster: rosterHash(roster), task: ask.task, epoch: ask.epoch, round: 0 };
      const at = transcriptOf(epochOccasion(protocol, { ...own, ledger: ask.head.hash }));
      const context = { shape: shapeOf(plan), members: ask.members, me: this.name, transcript: at };
      this.#epoch = { number: ask.epoch, keys: await protocol.tenant(context) };
    }
    const keying = protocol.keying.findIndex(({ name }) => name === ask.stage);
    if (ask.round === 0) return this.#epoch.keys.key(keying, heard);
    if (this.#round?.number !== ask.round)
      this.#round = { number: ask.round, protocol: this.#epoch.keys.round(transcript), contributions: heard };
    const { protocol: mine } = this.#round;
    const index = protocol.summing.findIndex(({ name }) => name === ask.stage);
    const { gate } = protocol.summing[index]!;
    if (gate === 'prepare') return mine.prepare(index, heard);
    if (gate === 'contribute') return mine.contribute(this.#values(plan.derived.dimension), heard);
    if (protocol.summing[index - 1]!.gate === 'contribute') this.#round.contributions = heard;
    if (gate === 'agree') return mine.agree(heard);
    const openers = ask.openers.length > 0 ? [...ask.openers].sort() : [...heard.keys()].sort();
    return mine.open(this.#round.contributions, openers);
  }

  get key(): string {
    return hex(this.identity.publicKey);
  }
}

const heardIn = (relayed: readonly Relayed[]): HeardAll =>
  new Map(
    relayed.map(({ from, open, sealed, vectorHash }): [TenantId, Heard] => [
      from,
      { open, ...(sealed ? { sealed } : {}), ...(vectorHash ? { vectorHash } : {}) },
    ]),
  );
