import type { TenantId } from '../../../aggregation/secure-sum.ts';
import type { Backend } from '../../../models/backend.ts';
import { type NetworkedFederation, startNetworked } from './federation.ts';
import type { NetworkFault, Opened } from './kinds.ts';
import { seeded } from './seeded.ts';

export interface Under {
  readonly names: readonly TenantId[];
  readonly backend: Backend;
  readonly seed: number;
  /** of times: 1 is as networks are */
  readonly scale: number;
}

/** A federation whose tenants all have this fault between them and the coordinator, each its own, and are all there. */
export async function meetUnder(
  fault: NetworkFault,
  { names, backend, seed, scale }: Under,
): Promise<{ federation: NetworkedFederation; faults: () => number; close: () => Promise<void> }> {
  const proxies: Opened[] = [];
  const federation = await startNetworked({
    names,
    backend,
    async via(tenant, port) {
      const random = seeded(1000 * seed + names.indexOf(tenant));
      const opened = await fault.open({ to: () => port, tenant, random, scale });
      proxies.push(opened);
      return `http://127.0.0.1:${opened.port}`;
    },
  });
  for (const name of names) federation.connect(name);
  const { coordinator } = federation.serving;
  await federation.until(() => coordinator.present().size === names.length, 'their meeting');
  return {
    federation,
    faults: () => proxies.reduce((sum, each) => sum + each.faults(), 0),
    async close() {
      await federation.close();
      await Promise.all(proxies.map((each) => each.close()));
    },
  };
}
