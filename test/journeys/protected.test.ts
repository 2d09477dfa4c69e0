import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { keysIn, protectionOf } from '../../aggregation/folder-keys.ts';
import { keyFile, passphrase } from '../../aggregation/secret.ts';
import { openClientStore } from '../../client/client-store.ts';
import { storeFile } from '../../client/folder.ts';
import { churnSettings, telcoCsv } from '../../simulation/telco.ts';
import { temporaryFolder } from '../support/folder.ts';
import { parley } from '../support-client/processes.ts';

/** A federation whose folders open with a key file, the coordinator's, and with a passphrase, the unit's. */
const PASSPHRASE = 'correct horse battery staple';
const PARLEY = join(import.meta.dirname, '../../parley.js');

/** A long-running command, and all that it says, until the test is over. */
function running(args: readonly string[], env: Record<string, string> = {}) {
  const child: ChildProcess = spawn(process.execPath, [PARLEY, ...args], { env: { ...process.env, ...env } });
  let said = '';
  for (const stream of [child.stdout!, child.stderr!])
    stream.on('data', (data: Buffer) => {
      said += data;
    });
  const end = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    await gone;
  };
  onTestFinished(end);
  const until = async (text: RegExp): Promise<string> => {
    for (;;) {
      const found = said.match(text);
      if (found !== null) return found[0];
      if (child.exitCode !== null) throw new Error(`it ended: ${said}`);
      await sleep(20);
    }
  };
  return { until, end, said: () => said };
}

const json = async (args: readonly string[], env?: Record<string, string>): Promise<Record<string, string>> => {
  const { code, stdout, stderr } = await parley([...args, '--json'], env);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout);
};

test('a coordinator and a unit start protected, meet, start again, and open with nothing else', async () => {
  const folder = temporaryFolder();
  const [hub, north, secret] = ['hub', 'north', 'secret'].map((name) => join(folder, name)) as [string, string, string];
  writeFileSync(join(folder, 'north.csv'), telcoCsv());
  writeFileSync(join(folder, 'schema.json'), JSON.stringify(churnSettings.features));
  await json(['keys', 'new-key-file', secret]);

  const serve = ['coordinator', '--folder', hub, '--port', '0', '--json'];
  const server = running([...serve, '--key-file', secret]);
  const url = (await server.until(/http:\/\/127\.0\.0\.1:\d+/))!;
  expect(protectionOf(hub)).toBe('key-file');
  const { code, coordinator } = await json(['tenant', 'invite', 'north', '--folder', hub, '--coordinator', url]);

  const own = { PARLEY_PASSPHRASE: PASSPHRASE };
  const files = ['--data', join(folder, 'north.csv'), '--schema', join(folder, 'schema.json')];
  const known = ['--tenant', 'north', '--coordinator', url, '--fingerprint', coordinator!];
  await json(['client', 'init', '--protect', ...known, ...files, '--to', north], own);
  expect(protectionOf(north)).toBe('passphrase');
  const client = ['client', '--folder', north, '--backend', 'cpu', '--json'];
  const first = running([...client, '--code', code!], own);
  await first.until(/"connected"/);
  await first.end();
  const again = running(client, own);
  await again.until(/"connected"/);
  await again.end();

  // what the client wrote is its own, from its first start on
  expect(() => openClientStore(storeFile(north))).toThrow(/tenant\.db is protected/);
  openClientStore(storeFile(north), keysIn(north, passphrase(PASSPHRASE)).storeKey).close();
  expect(await parley(client)).toMatchObject({ code: 4, stderr: expect.stringContaining('set PARLEY_PASSPHRASE') });
  await server.end();
  expect(await parley(serve)).toMatchObject({ code: 4, stderr: expect.stringContaining('name it with --key-file') });
  const restarted = running([...serve, '--key-file', secret]);
  await restarted.until(/http:\/\/127\.0\.0\.1:\d+/);
  await restarted.end();

  // nothing that opens a folder, and no key, is in what was said or beside it in plain
  const texts = [server, first, again, restarted].map((one) => one.said());
  const keys = [keysIn(hub, keyFile(secret)), keysIn(north, passphrase(PASSPHRASE))];
  const hidden = keys.flatMap(({ identity, storeKey }) => [
    identity.exportPem().split('\n')[1]!,
    storeKey!.export().toString('hex'),
  ]);
  for (const name of readdirSync(north)) texts.push(readFileSync(join(north, name), 'latin1'));
  for (const text of texts)
    for (const one of [...hidden, PASSPHRASE, 'horse battery', readFileSync(secret).toString('hex')])
      expect(text).not.toContain(one);
});

test('a coordinator that is told to protect what is plain already does not start', async () => {
  const hub = temporaryFolder();
  keysIn(hub);
  const ended = await parley(['coordinator', '--folder', hub, '--port', '0', '--protect']);
  expect(ended).toMatchObject({ code: 4, stderr: expect.stringContaining('`parley keys protect`') });
});
