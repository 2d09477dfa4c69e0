import { roundsOf } from '../aggregation/plan.ts';
import type { Conductor } from '../coordinator/conductor.ts';
import { epsilonOf, inThree, THREE } from '../coordinator/task-view.ts';

/** How a long task is doing: one line that moves on a terminal, a line every tenth of the way elsewhere, on stderr. */
export function progressLine(quiet: boolean): { changed(conductor: Conductor | undefined): void; done(): void } {
  let shown = -1;
  return {
    changed(conductor) {
      if (quiet || conductor === undefined) return;
      const { plan, progress, state } = conductor;
      const rounds = roundsOf(plan);
      const every = process.stderr.isTTY ? 1 : Math.max(1, Math.ceil(rounds / 10));
      if (progress.steps === shown || progress.steps % every !== 0 || state.phase !== 'running') return;
      shown = progress.steps;
      const filled = Math.round((20 * progress.steps) / rounds);
      const bar = `${'█'.repeat(filled)}${'░'.repeat(20 - filled)}`;
      const text = `${bar} round ${progress.steps}/${rounds}  ${THREE} ${inThree(epsilonOf(plan, state.charges))}  ${(conductor.bytesUp / 1e6).toFixed(1)} MB up`;
      process.stderr.write(process.stderr.isTTY ? `\r${text}` : `${text}\n`);
    },
    done() {
      if (!quiet && shown >= 0 && process.stderr.isTTY) process.stderr.write('\n');
    },
  };
}
