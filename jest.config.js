/** Unit, wire and engine tests: everything that needs nothing but `npm ci`. */
module.exports = {
	rootDir: __dirname,
	testEnvironment: 'node',
	globalSetup: '<rootDir>/test/globalSetup.ts',
	globalTeardown: '<rootDir>/test/globalTeardown.ts',
	testMatch: ['<rootDir>/test/{unit,wire,engine,properties}/**/*.test.ts'],
	// tsx, which runs some of these files too, takes RunComfy.node for the JSON beside it unless the ending is given.
	moduleNameMapper: { '^(.*/RunComfy\\.node)\\.js$': '$1' },
	// TypeScript before JSON: beside RunComfy.node.ts lies RunComfy.node.json.
	moduleFileExtensions: ['ts', 'js', 'mjs', 'json', 'node'],
	transform: {
		'^.+\\.ts$': ['ts-jest', { tsconfig: 'test/tsconfig.json', diagnostics: false }],
	},
	testTimeout: 20_000,
	maxWorkers: 2,
};
