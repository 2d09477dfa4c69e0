import type { TenantId } from '../aggregation/secure-sum.ts';
import { WireRefused } from '../aggregation/wire-check.ts';
import { TENANT } from './limits.ts';

/**
 * What tenants have said and no task has looked at yet. Of a tenant, not of a connection: a new one begins with what the old one
 * has left.
 */
export class Backlog {
  /** by tenant and task */
  readonly #bytes = new Map<string, number>();
  #messages = 0;

  get messages(): number {
    return this.#messages;
  }

  get bytes(): number {
    return [...this.#bytes.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  /**
   * A message that is `bytes` long waits for its task.
   *
   * @returns to be called when the task has looked at it
   * @throws WireRefused when more would wait than may
   */
  add(tenant: TenantId, task: string, bytes: number): () => void {
    const from = `${tenant}/${task}`;
    const before = this.#bytes.get(from) ?? 0;
    if (before + bytes > TENANT.waiting)
      throw new WireRefused('more than was asked for, before the task could look at it');
    this.#bytes.set(from, before + bytes);
    this.#messages += 1;
    return () => {
      this.#messages -= 1;
      const left = this.#bytes.get(from)! - bytes;
      if (left > 0) this.#bytes.set(from, left);
      else this.#bytes.delete(from);
    };
  }
}
