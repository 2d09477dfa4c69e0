import type { TenantId } from '../../../aggregation/secure-sum.ts';
import { TENANTS } from '../course.ts';
import { NETWORK_FAULTS, type NetworkFault, type Opened } from '../network/kinds.ts';
import type { Fault } from './fault.ts';

/** Each client has the fault between itself and the coordinator, from before the task is proposed until it is over. */
const onNetwork = (kind: NetworkFault): Fault => ({
  name: `network: ${kind.name}`,
  points: () => [1, 2, 3, 4],
  async begin(federation, _, __, random, scale) {
    const faults = new Map<TenantId, Opened>();
    for (const tenant of TENANTS) faults.set(tenant, await kind.open({ to: federation.port, tenant, random, scale }));
    federation.network(faults);
    return async () => {
      federation.network(undefined);
      const struck = [...faults.values()].reduce((sum, each) => sum + each.faults(), 0);
      await Promise.all([...faults.values()].map((each) => each.close()));
      return struck;
    };
  },
});

export const NETWORK: readonly Fault[] = NETWORK_FAULTS.map(onNetwork);
