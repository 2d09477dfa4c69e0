import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Environment variable: the folder where each process of a soak tells what it holds (`collecting.ts`), in a file named by its pid. */
export const HELD_FOLDER = 'PARLEY_SOAK_HELD';

/** @returns bytes that a process held a few seconds ago @throws Error while it has said nothing */
export const heldBy = (folder: string, pid: number): number => Number(readFileSync(join(folder, String(pid)), 'utf8'));
