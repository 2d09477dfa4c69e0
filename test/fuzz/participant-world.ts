import { Channel } from '../../aggregation/channel.ts';
import { federationOf } from '../../aggregation/federation.ts';
import type { Identity } from '../../aggregation/identity.ts';
import type { Frame, Link } from '../../aggregation/link.ts';
import { SECURE_SUMS } from '../../aggregation/secure-sum.ts';
import { sha256 } from '../../aggregation/transcript.ts';
import { decodeFromClient, type FromClient, type FromCoordinator, PROTOCOL } from '../../aggregation/wire.ts';
import type { Backend } from '../../models/backend.ts';
import { type Lie, startLying, type Victim } from '../support-client/lying-coordinator.ts';
import { toySettings } from '../support-client/toy-task.ts';
import { packed } from './decoder.ts';
import { FUZZED } from './names.ts';
import { Finding, mustHold } from './target.ts';

/**
 * Real participants, each in the middle of one task of every protocol, and somebody with the coordinator's key on their wires.
 * What they are asked next is known, and was kept from them: the fuzzer says it, or something like it.
 */
export interface ParticipantWorld {
  readonly fronts: readonly Front[];
  close(): void;
}

/** @param depth - stages the tasks have got through */
export async function participants(backend: Backend, depth: number): Promise<ParticipantWorld> {
  const fronts = new Map(FUZZED.map((name) => [name, new Front()]));
  const asked = new Map<string, number>();
  const lie: Lie = (to, message) => {
    const front = fronts.get(to.name)!;
    if ('ledger' in message) front.note = message.ledger.note;
    front.heard(message);
    if (message.type !== 'ask') return undefined;
    const key = `${to.name} ${message.task}`;
    const count = asked.get(key) ?? 0;
    asked.set(key, count + 1);
    if (count < depth) return undefined;
    // what is new in the ledger it gets all the same: or it would take all that follows for another ledger
    return [{ type: 'witness', ledger: message.ledger }];
  };
  const federation = await startLying({ backend, tenants: FUZZED, lie });
  const patient = { stageTimeoutMs: 3_600_000, graceMs: 3_600_000, patienceMs: 3_600_000 };
  const settings = { minCohort: 4, colluders: 1, epsilon: 1, timing: patient };
  const tasks = SECURE_SUMS.map((protocol) =>
    federation.run(toySettings({ ...settings, name: protocol, protocol, rounds: 5 })),
  );
  const isHeld = (): boolean =>
    tasks.every(({ id }) => FUZZED.every((name) => (asked.get(`${name} ${id}`) ?? 0) > depth));
  await federation.until(isHeld, 'the stage to be held', 60_000);
  for (const name of FUZZED) await federation.tenant(name).participant.idle();
  for (const [name, front] of fronts) front.takeOver(federation.tenant(name), federation.identity);
  return {
    fronts: [...fronts.values()],
    close: () => federation.close(),
  };
}

/** Where a coordinator should be: one participant, and whoever speaks to it. */
export class Front {
  /** messages it was told or kept from, that a lie may begin with; the last of each kind and task */
  readonly known = new Map<string, FromCoordinator>();
  /** the coordinator's note over the ledger it has */
  note = '';
  /** since somebody looked last */
  said: FromClient[] = [];
  #victim: Victim | undefined;
  #identity: Identity | undefined;
  #channel = new Channel('coordinator');
  #toClient: (frame: Frame) => void = () => {};
  #closed: () => void = () => {};
  #broke: unknown;
  #contributed = new Map<string, string>();
  isOpen = false;
  /** the frame it was told last */
  last: Frame | undefined;

  heard(message: FromCoordinator): void {
    if (message.type === 'hello' || message.type === 'welcome') return;
    this.known.set(`${message.type} ${'task' in message ? message.task : ''}`, message);
  }

  /** From here on nobody else speaks to it. */
  takeOver(victim: Victim, identity: Identity): void {
    this.#victim = victim;
    this.#identity = identity;
    victim.disconnect();
  }

  get victim(): Victim {
    return this.#victim!;
  }

  /** Greets it as its coordinator does, and lets it in. */
  async connect(): Promise<void> {
    await this.victim.participant.idle();
    this.#channel = new Channel('coordinator');
    this.isOpen = true;
    const link: Link = {
      send: (frame) => this.#hear(frame),
      close: () => this.#close(),
      onFrame: (handler) => {
        this.#toClient = handler;
      },
      onClose: (handler) => {
        this.#closed = handler;
      },
    };
    this.victim.participant.take(link).then(
      () => this.#close(),
      (error: unknown) => {
        this.#broke = error;
        this.#close();
      },
    );
    const { publicKey: key } = this.#identity!;
    const { exchange } = this.#channel;
    await this.tell({ type: 'hello', protocol: PROTOCOL, federation: federationOf(key), key, exchange });
    await this.tell({ type: 'welcome', tenant: this.victim.name, version: 'fuzzed' });
  }

  /** Anything at all, signed as the coordinator's next frame. */
  tell(message: unknown): Promise<void> {
    const bytes = packed(message);
    return this.deliver(this.#channel.seal({ bytes, hash: sha256(bytes) }, this.#identity!));
  }

  /** A frame as it stands. @returns when it has been dealt with @throws Finding when the program broke */
  async deliver(frame: Frame): Promise<void> {
    if (!this.isOpen) return;
    this.last = frame;
    this.#toClient(frame);
    await this.victim.participant.idle();
    if (this.#broke === undefined) return;
    const { name, message, stack = '' } = this.#broke as Error;
    this.#broke = undefined;
    throw new Finding(`a participant broke: ${name}: ${message}\n${stack}`);
  }

  close(): void {
    this.#close();
  }

  #hear(frame: Frame): void {
    this.#channel.takes(frame, this.victim.identity.publicKey);
    const message = decodeFromClient(frame.body);
    if (message.type === 'identify') this.#channel.agree(message.exchange);
    this.said.push(message);
    this.#checkOnce(message, frame.body);
  }

  /** What it contributes to a round, or opens of it, it says once: told twice it must be the very same. */
  #checkOnce(message: FromClient, body: Uint8Array): void {
    if (message.type !== 'say' || message.round === 0) return;
    const place = `${message.task}/${message.round}/${message.stage}/${message.attempt}`;
    const hash = Buffer.from(sha256(body)).toString('hex');
    const before = this.#contributed.get(place) ?? hash;
    this.#contributed.set(place, hash);
    if (before !== hash) this.#broke ??= new Error('it answered one place in two ways');
  }

  #close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#closed();
  }
}

/** A bug is told to the coordinator as nothing in particular, and to the person at the client as what it is. */
export function checkEvents(victim: Victim): string {
  const events = victim.events.splice(0);
  for (const event of events)
    if (event.type === 'declined')
      mustHold(
        !/^(Type|Range|Reference|Syntax)?Error\b/.test(event.reason),
        `a participant met an error: ${event.reason.replace(/[0-9a-f]{8,}|[0-9]+/g, 'N')}`,
      );
  const last = events.findLast(({ type }) => type !== 'connected');
  return last?.type ?? 'passed over';
}
