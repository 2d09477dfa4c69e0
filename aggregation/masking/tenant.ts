import { type RandomSource, secureRandom } from '../../privacy/random.ts';
import type { EpochContext, TenantEpoch } from '../secure-sum.ts';
import type { Cover } from './cover.ts';
import { boundTo } from './messages.ts';
import { tenantRound } from './round.ts';

/**
 * A tenant's side of one epoch. It has no keys of its own: every round makes new ones, and forgets those of the round
 * before.
 */
export function tenantEpoch(
  cover: Cover,
  context: EpochContext,
  random: Pick<RandomSource, 'fill'> = secureRandom(),
): TenantEpoch {
  const bound = { ...context, transcript: boundTo(cover, context.transcript) };
  let current: ReturnType<typeof tenantRound> | undefined;
  let forgotten = false;
  const noStage = () => new RangeError(`${cover.name} makes its keys round by round; there is no such stage`);
  return {
    async key() {
      throw noStage();
    },
    async keyed() {},
    round(transcript) {
      if (forgotten) throw new RangeError('this epoch is forgotten');
      current?.forget();
      current = tenantRound({ cover, context: bound, transcript: boundTo(cover, transcript), random });
      return current;
    },
    forget() {
      current?.forget();
      forgotten = true;
    },
  };
}
