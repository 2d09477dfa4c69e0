import { createIdentity, type Identity } from '../../aggregation/identity.ts';
import {
  type Heard,
  type HeardAll,
  ProtocolBroken,
  type Said,
  type TenantEpoch,
  type TenantId,
  type TenantRound,
} from '../../aggregation/secure-sum.ts';
import { heardHash, isRelayed, type Relayed, relayTo, signStatement } from '../../aggregation/transcript.ts';
import { noised, receivedFrom } from '../contracts/secure-sum-driver.ts';
import type { Asking, Spoken, SummedTask, Where } from './summed-task.ts';

interface Conversation {
  /** by stage: the hash of what it heard before it answered */
  readonly heard: Map<string, Uint8Array>;
}
interface Epoch extends Conversation {
  readonly number: number;
  readonly protocol: TenantEpoch;
  keyed: boolean;
}
interface Round extends Conversation {
  readonly number: number;
  readonly protocol: TenantRound;
  agreed: HeardAll | undefined;
}

/** A tenant: it checks every signature it is shown, and answers while it has the epoch's and the round's secrets. */
export class SummedTenant {
  readonly identity: Identity = createIdentity();
  /** by epoch and round: what it contributed, and to whom */
  readonly contributed = new Map<string, { readonly vector: readonly number[]; readonly cohort: string }[]>();
  /** by epoch and round: for which sums it gave a share, and with whom */
  readonly opened = new Map<string, { readonly sum: string; readonly openers: string }[]>();
  /** what it said last, in this life or the one before */
  last: Spoken | undefined;
  #answered: Spoken | undefined;
  readonly #task: SummedTask;
  readonly #name: TenantId;
  #epoch: Epoch | undefined;
  #round: Round | undefined;

  constructor(name: TenantId, task: SummedTask) {
    this.#name = name;
    this.#task = task;
  }

  /** Its process ends and starts again: what was in memory is gone. */
  restart(): void {
    this.#epoch?.protocol.forget();
    this.#epoch = undefined;
    this.#round = undefined;
    this.#answered = undefined;
  }

  /** The answer to what it is asked now; undefined when it is asked nothing, `cannot` when its secrets are gone. */
  async answer(): Promise<Spoken | 'cannot' | undefined> {
    const now = this.#task.asking;
    if (now === undefined || !now.asking.asked.includes(this.#name) || now.asking.said.has(this.#name))
      return undefined;
    if (this.#answered !== undefined && samePlace(this.#answered, now)) return this.#answered;
    try {
      this.#answered = await this.#said(now);
    } catch (error) {
      if (!(error instanceof ProtocolBroken)) throw error;
      this.#answered = undefined;
    }
    this.last = this.#answered ?? this.last;
    return this.#answered ?? 'cannot';
  }

  async #said(now: Asking): Promise<Spoken | undefined> {
    const conversation = now.state.keyed ? await this.#inRound(now) : await this.#inEpoch(now);
    if (conversation === undefined) return undefined;
    const shown = this.#task.shown(now, this.#name);
    const heard = this.#verified(conversation, { ...now, ...before(now) }, shown);
    const said = now.state.keyed ? await this.#say(now, heard) : await this.#epoch!.protocol.key(now.index, heard);
    const hash = heardHash(shown);
    conversation.heard.set(now.stage, hash);
    const { epoch, round, stage, attempt } = now;
    const signature = signStatement(this.identity, this.#name, this.#task.place(now, hash), said);
    return { epoch, round, stage, attempt, statement: { ...receivedFrom(said), from: this.#name, signature } };
  }

  /** @returns undefined without this epoch's keys */
  async #inEpoch(now: Asking): Promise<Epoch | undefined> {
    if (now.index === 0) await this.#begin(now);
    return this.#epoch?.number === now.epoch ? this.#epoch : undefined;
  }

  async #begin({ epoch, state }: Asking): Promise<void> {
    this.restart();
    const { shape, protocol } = this.#task;
    const transcript = this.#task.transcript(epoch, 0);
    const side = await protocol.tenant({ shape, members: state.parties, me: this.#name, transcript });
    this.#epoch = { number: epoch, protocol: side, keyed: protocol.keying.length === 0, heard: new Map() };
  }

  /** @returns undefined without this epoch's keys, or without what it knew when the round began */
  async #inRound(now: Asking): Promise<Round | undefined> {
    const { keying } = this.#task.protocol;
    if (keying.length === 0 && this.#epoch?.number !== now.epoch) await this.#begin(now);
    if (this.#epoch?.number !== now.epoch) return undefined;
    if (!this.#epoch.keyed) await this.#takeInKeys(this.#epoch);
    if (now.index === 0) {
      const protocol = this.#epoch.protocol.round(this.#task.transcript(now.epoch, now.round));
      this.#round = { number: now.round, protocol, heard: new Map(), agreed: undefined };
    }
    return this.#round?.number === now.round ? this.#round : undefined;
  }

  async #takeInKeys(epoch: Epoch): Promise<void> {
    const stage = this.#task.protocol.keying.at(-1)!.name;
    const where = { epoch: epoch.number, round: 0, stage, attempt: 1 };
    const shown = [...this.#task.said(where).values()].map((statement) => relayTo(this.#name, statement));
    await epoch.protocol.keyed(this.#verified(epoch, where, shown));
    epoch.keyed = true;
  }

  #verified({ heard }: Conversation, where: Where, shown: readonly Relayed[]): HeardAll {
    const all = new Map<TenantId, Heard>();
    for (const one of shown) {
      const place = this.#task.place(where, heard.get(where.stage)!);
      const key = this.#task.tenants.get(one.from)!.identity.publicKey;
      if (!isRelayed(key, place, this.#name, one)) throw new Error(`${one.from} did not say that, here and now`);
      const { open, sealed, vectorHash } = one;
      all.set(one.from, { open, ...(sealed && { sealed }), ...(vectorHash && { vectorHash }) });
    }
    return all;
  }

  async #say({ epoch, round, stages, index, asking }: Asking, heard: HeardAll): Promise<Said> {
    const { protocol } = this.#round!;
    const here = `${epoch}/${round}`;
    switch (stages[index]!.gate) {
      case 'prepare':
        return protocol.prepare(index, heard);
      case 'contribute': {
        const vector = [0, 1, 2].map(() => Math.floor((Math.random() - 0.5) * 2 ** 36));
        add(this.contributed, here, { vector, cohort: [...heard.keys()].sort().join() });
        return protocol.contribute(noised(vector), heard);
      }
      case 'agree':
        this.#round!.agreed = heard;
        return protocol.agree(heard);
      case 'open': {
        const contributions = this.#round!.agreed ?? heard;
        const openers = (this.#round!.agreed ? [...heard.keys()] : [...asking.asked]).sort();
        const sum = Buffer.from(await protocol.sumHash(contributions)).toString('hex');
        add(this.opened, here, { sum, openers: openers.join() });
        return protocol.open(contributions, openers);
      }
    }
  }
}

/** Of what is shown now: where it was said. */
const before = ({ stages, index }: Asking): Pick<Where, 'stage' | 'attempt'> => ({
  stage: stages[index - 1]?.name ?? '',
  attempt: 1,
});

const samePlace = (a: Where, b: Where): boolean =>
  a.epoch === b.epoch && a.round === b.round && a.stage === b.stage && a.attempt === b.attempt;

function add<One>(all: Map<string, One[]>, key: string, one: One): void {
  all.set(key, [...(all.get(key) ?? []), one]);
}
