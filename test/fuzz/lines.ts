import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { rosterHash, shapeOf } from '../../aggregation/plan.ts';
import { protocolNamed } from '../../aggregation/protocols.ts';
import { SECURE_SUMS } from '../../aggregation/secure-sum.ts';
import { heardHash, signStatement, transcriptOf } from '../../aggregation/transcript.ts';
import { answerDigest, decodeFromClient, fromClient, type Stated, standingDigest } from '../../aggregation/wire.ts';
import { cosigned } from '../../aggregation/witness.ts';
import { recordedFrames } from './corpus.ts';
import { FUZZED } from './names.ts';
import { isRecord, nearly } from './nearly.ts';
import { jsonSchemaOf, valuesOf } from './schema-values.ts';
import type { Ask, Speaker } from './speaker.ts';

/**
 * What somebody with a tenant's key may say: any message, near-valid ones above all, in any order, aimed at what was asked last
 * or at nothing, signed as it should be or not.
 */
export interface Line {
  /** a message, or something like one; hashes that begin with zeros stand for the tasks (`taskWord`) */
  readonly message: unknown;
  /** the place of the so-manieth conversation it is asked in is put in */
  readonly aim: number | null;
  /** the signature inside is made right, where it is what is missing; and a vector as long as it should be */
  readonly mend: boolean;
  /** `next`: signed as its next frame */
  readonly frame: 'next' | 'unsigned' | 'again' | 'tampered';
  readonly ms: number;
}

export function lines(): fc.Arbitrary<Line> {
  const valid = valuesOf(jsonSchemaOf(fromClient), WORDS);
  const recorded = fc.constantFrom(...recordedFrames('client').map(({ body }) => decodeFromClient(body) as unknown));
  const message = fc.oneof(
    { weight: 3, arbitrary: valid },
    { weight: 3, arbitrary: recorded },
    { weight: 3, arbitrary: nearly(valid) },
    { weight: 4, arbitrary: nearly(recorded) },
  );
  return fc.record({
    message,
    aim: fc.option(fc.nat(4), { freq: 4 }),
    mend: fc.integer({ min: 0, max: 9 }).map((n) => n > 1),
    frame: fc.oneof(
      { weight: 20, arbitrary: fc.constant('next' as const) },
      { weight: 1, arbitrary: fc.constantFrom('unsigned' as const, 'again' as const, 'tampered' as const) },
    ),
    ms: fc.constantFrom(0, 0, 1, 1_000),
  });
}

/** Stands for the so-manieth task of the federation that is fuzzed: its hash is another in every run. */
const taskWord = (task: number): string => String(task).padStart(64, '0');

const STAGES = SECURE_SUMS.flatMap((name) => {
  const { keying, summing } = protocolNamed(name);
  return [...keying, ...summing].map((stage) => stage.name);
});
export const WORDS: readonly string[] = [
  ...new Set([...Array.from({ length: 6 }, (_, i) => taskWord(i)), ...STAGES, ...FUZZED, '-']),
];

/** The message as it is said by this speaker, here and now. */
export function resolved({ message, aim, mend }: Line, speaker: Speaker, tasks: readonly string[]): unknown {
  const words = new Map(tasks.map((task, i) => [taskWord(i), task]));
  const named = withWords(message, words);
  if (!isRecord(named)) return named;
  const ask = aim === null || speaker.asks.length === 0 ? undefined : speaker.asks[aim % speaker.asks.length];
  const aimed = ask === undefined ? named : atPlace(named, ask);
  if (!mend) return aimed;
  try {
    return mended(fitted(aimed, ask, speaker), ask, speaker);
  } catch {
    return aimed; // no signature fits what is no message
  }
}

function withWords(value: unknown, words: ReadonlyMap<string, string>): unknown {
  if (typeof value === 'string') return words.get(value) ?? value;
  if (Array.isArray(value)) return value.map((one) => withWords(one, words));
  if (!isRecord(value)) return value;
  const copy = {};
  for (const [name, one] of Object.entries(value))
    Object.defineProperty(copy, name, {
      value: withWords(one, words),
      enumerable: true,
      writable: true,
      configurable: true,
    });
  return copy;
}

function atPlace(message: Record<string, unknown>, ask: Ask): Record<string, unknown> {
  const { task, epoch, round, stage, attempt } = ask;
  const place = { task, epoch, round, stage, attempt };
  const fits = Object.entries(place).filter(([name]) => name in message);
  return { ...message, ...Object.fromEntries(fits) };
}

/** A part as long as the whole vector of the stage that is asked for. */
function fitted(message: Record<string, unknown>, ask: Ask | undefined, { plans }: Speaker): Record<string, unknown> {
  if (message['type'] !== 'part' || ask === undefined) return message;
  const plan = plans.get(ask.task)!;
  const length = protocolNamed(plan.settings.secureSum.protocol).vectorBytes(ask.stage, shapeOf(plan));
  const given = message['bytes'];
  const bytes = new Uint8Array(length);
  if (given instanceof Uint8Array) bytes.set(given.subarray(0, length));
  return { ...message, at: 0, bytes };
}

function mended(message: Record<string, unknown>, ask: Ask | undefined, speaker: Speaker): unknown {
  const { identity, name, exchange, note, ledger, plans } = speaker;
  const { signature: _, ...said } = message;
  switch (message['type']) {
    case 'identify':
      return { ...message, tenant: name, exchange: randomBytes(32) };
    case 'accept':
    case 'decline':
      return { ...message, signature: identity.sign(answerDigest(name, said as never)) };
    case 'standing':
      return {
        ...message,
        signature: identity.sign(standingDigest(name, exchange, said as Omit<Stated, 'signature'>)),
      };
    case 'cosign':
      return { ...message, size: ledger, line: cosigned(note, name, identity, Date.now()) };
    case 'part':
      speaker.vector = message['bytes'] as Uint8Array;
      return message;
    case 'say': {
      if (ask === undefined) return message;
      const plan = plans.get(ask.task)!;
      const { task, epoch, round, model, stage, attempt, head } = ask;
      const { federation, roster } = plan;
      const occasion = { federation, roster: rosterHash(roster), task, epoch, round, model, ledger: head.hash };
      const place = { transcript: transcriptOf(occasion), stage, attempt, heard: heardHash(ask.heard) };
      const vector = hasVector(plan, stage) ? speaker.vector : undefined;
      const { open, sealed } = message as { open: Uint8Array; sealed: [string, Uint8Array][] };
      const statement = { open, sealed: new Map(sealed), ...(vector ? { vector } : {}) };
      return { ...message, signature: signStatement(identity, name, place, statement) };
    }
    default:
      return message;
  }
}

type PlanOf = Parameters<typeof shapeOf>[0];
const hasVector = (plan: PlanOf, stage: string): boolean =>
  protocolNamed(plan.settings.secureSum.protocol).vectorBytes(stage, shapeOf(plan)) > 0;
