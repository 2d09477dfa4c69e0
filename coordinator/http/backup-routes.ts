import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { timeName } from '../../aggregation/time-name.ts';
import type { Coordinator } from '../coordinator.ts';
import { writeBackup } from '../keeping/backup.ts';
import { sendProblem } from './problem.ts';
import { json } from './public-routes.ts';

export interface BackupPlace {
  /** the coordinator's folder: backups go into `backups/` in it */
  readonly folder: string;
  readonly version: string;
}

/** A backup, written by the coordinator that has the store open: on its own machine, so that no secret travels. One at a time. */
export function backupRoutes(app: FastifyInstance, coordinator: Coordinator, { folder, version }: BackupPlace): void {
  let isBusy = false;
  const answer = z.object({ backup: z.string(), entries: z.number() });
  app.post(
    '/backups',
    {
      config: { access: 'operator' },
      schema: { summary: 'Back up the store, here', response: { 200: json(answer) } },
    },
    async (_, reply) => {
      const { store, ledger, federation } = coordinator;
      if (store.backup === undefined)
        return sendProblem(reply, 409, 'Not from here', 'ask the database: parley coordinator backup --store …');
      if (isBusy) return sendProblem(reply, 409, 'Under way', 'a backup is being written');
      isBusy = true;
      try {
        const now = Date.now();
        const to = join(folder, 'backups', timeName(now));
        const made = await writeBackup({ store, folder, to, federation, version, ledgerFrom: ledger.head.size, now });
        return { backup: to, entries: made.ledger.size };
      } finally {
        isBusy = false;
      }
    },
  );
}
