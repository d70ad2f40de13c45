/** Five hundred items in a storm; see test/chaos. */
module.exports = {
	...require('./jest.config.js'),
	testMatch: ['<rootDir>/test/chaos/**/*.test.ts'],
	testTimeout: 110_000,
};
