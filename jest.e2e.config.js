/** The node in whole n8n, installed as users have it; see test/e2e. */
module.exports = {
	...require('./jest.config.js'),
	testMatch: ['<rootDir>/test/e2e/**/*.test.ts'],
	testTimeout: 120_000,
	maxWorkers: 1,
	// undici keeps connections to an n8n that was killed on purpose.
	forceExit: true,
};
