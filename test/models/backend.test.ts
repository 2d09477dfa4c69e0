import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { startBackend } from '../../models/backend.ts';

/** A fresh process: what it prints, and that it ends. */
function inProcess(code: string): string {
  const module = fileURLToPath(new URL('../../models/backend.ts', import.meta.url));
  const script = `import { startBackend } from ${JSON.stringify(module)}; ${code}`;
  const { stdout } = spawn(script);
  return stdout;
}

function spawn(script: string): { stdout: string } {
  const args = ['--no-warnings', '--input-type=module', '--eval', script];
  return { stdout: execFileSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }) };
}

describe('backend', () => {
  test.each(['wasm', 'cpu'] as const)('%s multiplies', async (name) => {
    const { tf, name: started } = await startBackend(name);
    expect(started).toBe(name);
    const sum = tf.tidy(() => tf.sum(tf.matMul(tf.ones([3, 4]), tf.ones([4, 5]))));
    expect((await sum.data())[0]).toBe(60);
    sum.dispose();
  });

  test('wasm computes with SIMD', async () => {
    const { tf } = await startBackend('wasm');
    expect(await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT')).toBe(true);
  });

  test('one that cannot be used is an error that tells the way out when it was asked for', async () => {
    const inTheWay = await startBackend('webgpu').then(
      () => undefined,
      (error: Error) => error.message,
    );
    // on a machine that has it there is nothing to refuse
    if (inTheWay !== undefined) expect(inTheWay).toMatch(/^backend webgpu cannot be used: .+; npm install webgpu/);
  });

  test('left to itself it starts something, says what it passed over and why, prints nothing and lets go', () => {
    const printed = inProcess('const b = await startBackend(); console.log(JSON.stringify([b.name, b.passedOver]))');
    const [name, passedOver] = JSON.parse(printed) as [string, { name: string; reason: string }[]];
    expect(['tfjs-node-gpu', 'webgpu', 'wasm', 'cpu']).toContain(name);
    for (const { reason } of passedOver) expect(reason).not.toBe('');
    expect(printed.trim().split('\n')).toHaveLength(1);
  });
});
