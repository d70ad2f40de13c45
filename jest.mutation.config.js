/** The tests of the queue and of what decides identity: without a network, and with fewer generated sequences. */
process.env.PROPERTY_RUNS ??= '60';
process.env.PROPERTY_SEED ??= '1';

const QUEUE = 'budget|identity|job|jobTimes|ledger|pace|run|schedule|stop|submission|submit|throttle';

module.exports = {
	...require('./jest.config.js'),
	testMatch: undefined,
	testRegex: `test/(unit/(${QUEUE})|properties/ledger)\\.test\\.ts$`,
};
