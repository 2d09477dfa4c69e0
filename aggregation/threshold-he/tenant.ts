import { type EpochContext, ProtocolBroken, type TenantEpoch } from '../secure-sum.ts';
import type { Arithmetic } from './arithmetic.ts';
import { type EpochKeys, type Keying, keying } from './keying.ts';
import { tenantRound } from './round.ts';

/**
 * A tenant's side of one epoch: its keys, in order, and the rounds under them.
 *
 * @param mostOpened - coefficients this tenant helps to open before it wants new keys
 */
export function tenantEpoch(
  context: EpochContext,
  arithmetic: Arithmetic,
  mostOpened: number = arithmetic.profile.mostOpened,
): TenantEpoch {
  const stages: Keying = keying(context, arithmetic);
  const answers = [stages.announce, stages.deal, stages.confirm] as const;
  let answered = 0;
  let keys: EpochKeys | undefined;
  let forgotten = false;
  let opened = 0;

  const spend = (coefficients: number): void => {
    if (forgotten) throw new RangeError('this epoch is forgotten');
    if (opened + coefficients > mostOpened) {
      throw new ProtocolBroken(`these keys have opened ${opened} coefficients; start a new epoch before the next sum`);
    }
    opened += coefficients;
  };

  return {
    async key(stage, heard) {
      const answer = answers[stage];
      if (forgotten || stage !== answered || !answer) throw new RangeError(`keying stage ${stage} is not due`);
      answered++; // before answering: what broke once is not tried again
      return answer(heard);
    },
    async keyed(heard) {
      if (forgotten || answered !== answers.length || keys) throw new RangeError('the epoch is not ready to be keyed');
      keys = stages.finish(heard);
    },
    round(transcript) {
      if (forgotten || keys === undefined) throw new RangeError('this epoch has no keys');
      return tenantRound({ context, arithmetic, keys, transcript, spend });
    },
    forget() {
      if (!forgotten) stages.forget();
      forgotten = true;
    },
  };
}
