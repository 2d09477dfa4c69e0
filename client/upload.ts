import { PART_BYTES } from '../aggregation/wire.ts';
import type { Speak } from './connection.ts';
import type { Answer } from './conversation.ts';

/** Parts under way that the coordinator has not on disk yet; a slow one is waited for, not buried. */
const WINDOW = 2;

/**
 * One answer on its way: the parts of its vector, then the statement. Begins where the coordinator says that its disk ends, so
 * after a lost connection nothing is sent twice.
 */
export interface Upload {
  /** The coordinator has so many bytes on disk; what it says of another answer is passed over. */
  heard(have: {
    readonly stage: string;
    readonly round: number;
    readonly attempt: number;
    readonly length: number;
  }): void;
}

/** @param have - bytes of the vector that the coordinator holds already */
export function upload(speak: Speak, { say, vector = NOTHING }: Answer, have: number): Upload {
  let next = have;
  let isSaid = false;
  const send = (onDisk: number): void => {
    for (; next < vector.length && next - onDisk < WINDOW * PART_BYTES; next += PART_BYTES) {
      const { task, epoch, round, stage, attempt } = say;
      const bytes = vector.subarray(next, next + PART_BYTES);
      speak({ type: 'part', task, epoch, round, stage, attempt, at: next, bytes });
    }
    if (next < vector.length || isSaid) return;
    isSaid = true;
    speak(say);
  };
  send(have);
  return {
    heard({ stage, round, attempt, length }) {
      if (stage === say.stage && round === say.round && attempt === say.attempt) send(length);
    },
  };
}

const NOTHING = new Uint8Array(0);
