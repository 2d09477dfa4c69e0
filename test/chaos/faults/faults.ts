import { bothKilled, clientKilled } from './client-killed.ts';
import { again } from './coordinator-again.ts';
import { afterCommit, beforeCommit } from './coordinator-commit.ts';
import type { Fault } from './fault.ts';
import { NETWORK } from './network.ts';

/** All that `npm run chaos` does to a federation. Another kind is another file, and a line here. */
export const FAULTS: readonly Fault[] = [beforeCommit, afterCommit, again, clientKilled, bothKilled, ...NETWORK];
