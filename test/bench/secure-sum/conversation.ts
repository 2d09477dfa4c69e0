import { randomBytes } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createIdentity, type Identity } from '../../../aggregation/identity.ts';
import type {
  CoordinatorEpoch,
  Heard,
  HeardAll,
  ReceivedAll,
  Said,
  SecureSum,
  Stage,
  SumShape,
  TenantEpoch,
  TenantId,
} from '../../../aggregation/secure-sum.ts';
import { inMemory } from '../../../aggregation/stored-vector.ts';
import {
  heardHash,
  isRelayed,
  isStatement,
  type Place,
  type Relayed,
  relayTo,
  type Statement,
  signStatement,
} from '../../../aggregation/transcript.ts';
import type { Noised } from '../../../privacy/steps.ts';

/**
 * A federation in one process whose every statement is signed, passed on and verified as between processes. One tenant is
 * watched: its CPU time is that of the answer, of verifying what it heard, and of its signature.
 */
export interface Federation {
  readonly members: readonly TenantId[];
  readonly coordinator: CoordinatorEpoch;
  /** of making keys, where they last for many rounds */
  readonly keying: Spent;
  /** @param lost - who is gone, when contributions are asked for or from the start */
  round(vectorOf: (tenant: TenantId) => Noised, lost?: readonly TenantId[], when?: Lost): Promise<Round>;
}

export type Lost = 'before the round' | 'before contributing';

export interface Round {
  /** the watched tenant's milliseconds by stage, and its bytes */
  readonly spent: Spent;
  readonly contributions: ReceivedAll;
  /** undefined when somebody was lost whom this protocol cannot do without */
  open(): Promise<{ readonly sum: Float64Array; readonly openMs: number } | undefined>;
  /** The coordinator's milliseconds for one contribution as it arrives: signature and form. */
  readonly checkMs: number;
}

export interface Spent {
  readonly ms: Map<string, number>;
  /** of the contribution */
  vectorBytes: number;
  up: number;
  down: number;
}

/** CPU time of this process, in milliseconds. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

setFlagsFromString('--expose-gc');
/** What the other tenants of this process have left is not for the watched one to clear away. */
const collect = runInNewContext('gc') as () => void;

type Statements = ReadonlyMap<TenantId, Statement>;
const WATCHED = 0;
const NOTHING: Statements = new Map();

export async function federation(protocol: SecureSum, shape: SumShape): Promise<Federation> {
  const members = Array.from({ length: shape.tenants }, (_, i) => `tenant-${String(i).padStart(3, '0')}`);
  const me = members[WATCHED]!;
  const identities = new Map(members.map((name) => [name, createIdentity()]));
  const transcript = new Uint8Array(randomBytes(32));
  const epochs = new Map<TenantId, TenantEpoch>();
  for (const name of members) epochs.set(name, await protocol.tenant({ shape, members, me: name, transcript }));
  const coordinator = await protocol.coordinator({ shape, members, transcript });
  const keying: Spent = { ms: new Map(), vectorBytes: 0, up: 0, down: 0 };
  const talk = (spent: Spent, at: Uint8Array) => conversation({ me, identities, coordinator, spent, transcript: at });

  if (protocol.keying.length > 0) {
    const { say, hear } = talk(keying, transcript);
    let said = NOTHING;
    for (const [index, stage] of protocol.keying.entries())
      said = await say(stage, members, said, (name, heard) => epochs.get(name)!.key(index, heard));
    for (const [name, epoch] of epochs) await hear(name, relayAll(name, said), (heard) => epoch.keyed(heard));
    await coordinator.keyed(said);
  }

  return {
    members,
    coordinator,
    keying,
    async round(vectorOf, lost = [], when = 'before contributing') {
      const roundTranscript = new Uint8Array(randomBytes(32));
      const spent: Spent = { ms: new Map(), vectorBytes: 0, up: 0, down: 0 };
      const { say, checkMs } = talk(spent, roundTranscript);
      const rounds = new Map(members.map((name) => [name, epochs.get(name)!.round(roundTranscript)]));
      const prepared: ReceivedAll[] = [];
      let said = NOTHING;
      let contributions = NOTHING;
      const present = members.filter((name) => !lost.includes(name));
      const values = new Map(present.map((name) => [name, vectorOf(name)]));
      for (const stage of protocol.summing) {
        if (stage.gate === 'prepare') {
          const asked = when === 'before the round' ? present : members;
          said = await say(stage, asked, said, (name, heard) => rounds.get(name)!.prepare(prepared.length, heard));
          prepared.push(said);
        } else if (stage.gate === 'contribute') {
          said = await say(stage, present, said, (name, heard) =>
            rounds.get(name)!.contribute(values.get(name)!, heard),
          );
          contributions = said;
        }
      }
      const open = async () => {
        const all = protocol.summing.find(({ gate }) => gate === 'contribute')!.answers === 'all';
        if (all && lost.length > 0 && when === 'before contributing') return undefined;
        const openers = coordinator.openers(present);
        let shares = NOTHING;
        for (const stage of protocol.summing) {
          if (stage.gate === 'agree')
            said = await say(stage, openers, said, (name, heard) => rounds.get(name)!.agree(heard));
          else if (stage.gate === 'open')
            shares = await say(stage, openers, said, (name) => rounds.get(name)!.open(asShown(contributions), openers));
        }
        collect();
        const before = cpuMs();
        const sum = await coordinator.open(contributions, shares, { transcript: roundTranscript, prepared });
        return { sum, openMs: cpuMs() - before };
      };
      return { spent, contributions, open, checkMs: checkMs() };
    },
  };
}

const asShown = (contributions: Statements): HeardAll =>
  new Map([...contributions].map(([from, { open, vector }]) => [from, heardFrom({ open, vectorHash: vector?.hash })]));

/** One run of stages: each hears what was said in the stage before. */
function conversation({
  me,
  identities,
  coordinator,
  spent,
  transcript,
}: {
  readonly me: TenantId;
  readonly identities: ReadonlyMap<TenantId, Identity>;
  readonly coordinator: CoordinatorEpoch;
  readonly spent: Spent;
  readonly transcript: Uint8Array;
}) {
  let before: Place | undefined;
  let checkMs = 0;

  /** Runs `answer` with what `name` heard; of who is watched with every signature verified. */
  const hear = async <T>(
    name: TenantId,
    relayed: readonly Relayed[],
    answer: (heard: HeardAll) => Promise<T>,
  ): Promise<T> => {
    if (name === me) {
      for (const one of relayed) {
        spent.down += one.open.length + (one.sealed?.length ?? 0) + 96 + 32 * one.sealedHashes.length;
        if (!isRelayed(identities.get(one.from)!.publicKey, before!, me, one)) throw new Error('does not verify');
      }
    }
    return answer(
      new Map(relayed.map(({ from, open, sealed, vectorHash }) => [from, heardFrom({ open, sealed, vectorHash })])),
    );
  };

  const say = async (
    stage: Stage,
    asked: readonly TenantId[],
    said: Statements,
    answer: (name: TenantId, heard: HeardAll) => Promise<Said>,
  ): Promise<Statements> => {
    const heard = heardHash([...said.values()].map((statement) => relayTo('', statement)));
    const place = { transcript, stage: stage.name, attempt: 1, heard };
    const statements = new Map<TenantId, Statement>();
    for (const from of asked) {
      const relayed = relayAll(from, said);
      if (from === me) collect();
      const started = cpuMs();
      const one = await hear(from, relayed, (all) => answer(from, all));
      const signature = signStatement(identities.get(from)!, from, place, one);
      const took = cpuMs() - started;
      const { open, sealed, vector } = one;
      const statement: Statement = { from, open, sealed, ...(vector ? { vector: inMemory(vector) } : {}), signature };
      if (from === me) {
        spent.ms.set(stage.name, took);
        spent.up += bytesOf(one);
        if (stage.gate === 'contribute') spent.vectorBytes = one.vector!.length;
        const arrives = cpuMs();
        const isSound =
          isStatement(identities.get(from)!.publicKey, place, statement) &&
          coordinator.malformed(stage, statement) === undefined;
        if (!isSound) throw new Error(`${stage.name} is refused`);
        if (stage.gate === 'contribute') checkMs = cpuMs() - arrives;
      }
      statements.set(from, statement);
    }
    before = place;
    return statements;
  };
  return { say, hear, checkMs: () => checkMs };
}

const relayAll = (to: TenantId, said: Statements): Relayed[] =>
  [...said.values()].map((statement) => relayTo(to, statement));

const bytesOf = ({ open, sealed, vector }: Said): number =>
  [open, vector ?? [], ...sealed.values()].reduce((sum, { length }) => sum + length, 64);

/** Without the parts that are not there. */
const heardFrom = ({ open, sealed, vectorHash }: { [K in keyof Heard]: Heard[K] | undefined }): Heard => ({
  open: open!,
  ...(sealed ? { sealed } : {}),
  ...(vectorHash ? { vectorHash } : {}),
});
