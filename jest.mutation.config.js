/** The tests that say whether a mutation of the queue is noticed: those without a network, and fewer generated sequences. */
process.env.PROPERTY_RUNS ??= '200';
process.env.PROPERTY_SEED ??= '1';

module.exports = {
	...require('./jest.config.js'),
	testMatch: ['<rootDir>/test/{unit,properties}/**/*.test.ts'],
};
