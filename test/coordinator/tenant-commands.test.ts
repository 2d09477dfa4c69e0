import { expect, onTestFinished, test, vi } from 'vitest';
import { EXIT } from '../../aggregation/exit.ts';
import { createIdentity, fingerprint } from '../../aggregation/identity.ts';
import { listTenants } from '../../coordinator/tenant-commands.ts';
import { enrolOverHttp, startServer } from '../support/serving.ts';

/** What it prints. */
async function printed(command: () => Promise<void>): Promise<string> {
  const log = vi.spyOn(console, 'log').mockImplementation(() => {});
  onTestFinished(() => log.mockRestore());
  await command();
  return log.mock.calls.splice(0).flat().join('\n');
}

test('the list of tenants says with which key each is here, since when, and whether its client is', async () => {
  const server = await startServer();
  const options = { coordinator: server.url, folder: server.folder };
  expect(await printed(() => listTenants(options))).toBe('no tenants yet; parley tenant invite NAME');

  const before = Date.now();
  const keys = [createIdentity(), createIdentity()];
  for (const [i, name] of ['north', 'south'].entries()) await enrolOverHttp(server, name, keys[i]);
  const [north, south] = keys.map(({ publicKey }) => fingerprint(publicKey));
  const listed = JSON.parse(await printed(() => listTenants({ ...options, json: true }))) as { enrolledAt: number }[];
  expect(listed).toMatchObject([
    { tenant: 'north', fingerprint: north, connected: false },
    { tenant: 'south', fingerprint: south, connected: false },
  ]);
  for (const { enrolledAt } of listed) {
    expect(enrolledAt).toBeGreaterThanOrEqual(before);
    expect(enrolledAt).toBeLessThanOrEqual(Date.now());
  }
  const [day] = new Date(listed[0]!.enrolledAt).toISOString().split('T');
  expect((await printed(() => listTenants(options))).split('\n')[0]).toMatch(
    new RegExp(`^north +${north}  since ${day}  not connected$`),
  );
  const stranger = { coordinator: server.url };
  await expect(listTenants(stranger)).rejects.toMatchObject({ code: EXIT.refused });
});
