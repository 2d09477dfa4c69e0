import type { FastifyInstance } from 'fastify';
import type { LedgerExport } from '../../aggregation/ledger-export.ts';
import { logKey } from '../../aggregation/witness.ts';
import { TransparencyRefused } from '../../privacy/transparency/canonical-text.ts';
import { leafHash } from '../../privacy/transparency/merkle.ts';
import { bundleBytes, parseTilePath, TILE_WIDTH, type Tile, tileBytes } from '../../privacy/transparency/tiles.ts';
import { formatVerifierKey } from '../../privacy/transparency/verifier-key.ts';
import type { Coordinator } from '../coordinator.ts';
import { sendProblem } from './problem.ts';

/**
 * The ledger for all of the federation: whole, as an export that verifies offline; or piece by piece as C2SP tlog-tiles, which monitors that
 * know nothing of Parley can follow.
 */
export function ledgerRoutes(app: FastifyInstance, coordinator: Coordinator): void {
  const config = { access: 'evidence' } as const;
  app.get('/ledger', { config, schema: { summary: 'The whole ledger, to be verified offline' } }, (): LedgerExport => {
    const { entries, note } = coordinator.ledger.newsSince(0);
    return {
      format: 'parley-ledger-export-v1',
      log: formatVerifierKey(logKey(coordinator.publicKey)),
      head: note,
      notes: coordinator.store.notes(0).map((each) => each.note),
      entries: entries.map((text) => JSON.parse(text)),
    };
  });
  app.get(
    '/checkpoint',
    { config, schema: { summary: 'The newest note that tenants have cosigned (C2SP tlog-checkpoint)' } },
    (_, reply) => {
      const cosigned =
        coordinator.store.notes(0).at(-1)?.note ?? coordinator.ledger.newsSince(coordinator.ledger.head.size).note;
      return reply.type('text/plain; charset=utf-8').send(cosigned);
    },
  );
  app.get<{ Params: { '*': string } }>(
    '/tile/*',
    { config, schema: { summary: 'Hashes and entries in tiles (C2SP tlog-tiles)' } },
    (request, reply) => {
      const bytes = tileAt(`tile/${request.params['*']}`, coordinator);
      return bytes === undefined
        ? sendProblem(reply, 404, 'Not found', 'the ledger has no such tile')
        : reply.type('application/octet-stream').send(Buffer.from(bytes));
    },
  );
}

/** @returns undefined when the path is none, or the ledger is not that long */
function tileAt(path: string, { store, ledger }: Coordinator): Uint8Array | undefined {
  let tile: Tile;
  try {
    tile = parseTilePath(path);
  } catch (error) {
    if (error instanceof TransparencyRefused) return undefined;
    throw error;
  }
  const span = tile.level === 'entries' ? 1 : TILE_WIDTH ** tile.level;
  const [from, count] = [tile.index * TILE_WIDTH * span, tile.width * span];
  if (from + count > ledger.head.size) return undefined;
  const entries = store.ledger(from, count).map((text) => Buffer.from(text));
  return tile.level === 'entries' ? bundleBytes(entries) : tileBytes({ ...tile, index: 0 }, entries.map(leafHash));
}
