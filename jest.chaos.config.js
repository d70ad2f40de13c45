/** Five hundred items with faults in every call (test/chaos), and the ledger's properties in 20,000 sequences of events. */
process.env.PROPERTY_RUNS ??= '20000';
/** And so many items in each execution, where many executions share one account. */
process.env.SHARED_ACCOUNT_ITEMS ??= '50';

module.exports = {
	...require('./jest.config.js'),
	testMatch: ['<rootDir>/test/chaos/**/*.test.ts', '<rootDir>/test/properties/**/*.test.ts'],
	testTimeout: 110_000,
	// One after the other: the chaos test's short timeouts must not be missed because of the other's load.
	maxWorkers: 1,
};
