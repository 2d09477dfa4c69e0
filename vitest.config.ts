import { defineConfig, type ViteUserConfig } from 'vitest/config';

const config: ViteUserConfig = defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Only a hang is to be noticed: stories of many processes take a minute on a small machine, and more on one that does other work.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    pool: 'forks',
    maxWorkers: '100%', // many files wait for processes of their own most of the time
  },
});

export default config;
