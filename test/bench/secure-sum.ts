import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { peerTable, runPeers } from './peers/peers.ts';
import { costRows, costTable } from './secure-sum/costs.ts';
import { roundRows, roundTable } from './secure-sum/rounds.ts';

/**
 * `npm run bench:secure-sum`: what a secure sum costs, in milliseconds of CPU time on one thread and in bytes.
 *
 *   1. 1,000,000 values: one client, the coordinator, the opening, for every protocol and lane; beside them TenSEAL and Flower
 *   2. whole rounds by tenants and drop-outs
 *
 *   --no-install   fetch no Python packages for the peers; without them their recorded figures are shown
 *   --smoke        small vectors, few tenants, once: the figures mean nothing
 *   --json         all rows as one document
 */
const { values: flags } = parseArgs({
  options: { 'no-install': { type: 'boolean' }, smoke: { type: 'boolean' }, json: { type: 'boolean' } },
});
const smoke = flags.smoke ?? false;
const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}, Node ${process.version}, one thread, CPU time`;
const say = (text: string): void => {
  if (!flags.json) console.log(text);
};
const progress = (text: string): void => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
};

say(`${machine}\n`);
const costs = await costRows({ smoke, progress });
progress('');
say(costTable(costs));
const peers = await runPeers({ install: !flags['no-install'] && !smoke, smoke });
say(`\n${peerTable(peers)}`);
const rounds = await roundRows({ smoke, progress });
progress('');
say(`\n${roundTable(rounds)}`);
if (flags.json) console.log(JSON.stringify({ machine, costs, peers, rounds }));
