import path from 'node:path';

import type { RunComfyApi } from '../../credentials/RunComfyApi.credentials';
import type { RunComfy } from '../../nodes/RunComfy/RunComfy.node';
import type { executeRunComfy } from '../../nodes/RunComfy/execute';
import type { systemRuntime } from '../../nodes/RunComfy/n8n/runtime';

const ROOT = path.resolve(__dirname, '..', '..');

/** Node and credential as `npm run build` has compiled them, that is, as they are published; of this checkout or another. */
export async function loadCompiled(root = ROOT): Promise<{
	RunComfy: typeof RunComfy;
	RunComfyApi: typeof RunComfyApi;
}> {
	const node: unknown = await import(`${root}/dist/nodes/RunComfy/RunComfy.node.js`);
	const credential: unknown = await import(`${root}/dist/credentials/RunComfyApi.credentials.js`);
	return {
		...(node as { RunComfy: typeof RunComfy }),
		...(credential as { RunComfyApi: typeof RunComfyApi }),
	};
}

/** The compiled node's `execute` and its runtime, to run it on another clock. */
export async function loadCompiledExecution(root = ROOT): Promise<{
	executeRunComfy: typeof executeRunComfy;
	systemRuntime: typeof systemRuntime;
}> {
	const execution: unknown = await import(`${root}/dist/nodes/RunComfy/execute.js`);
	const runtime: unknown = await import(`${root}/dist/nodes/RunComfy/n8n/runtime.js`);
	return {
		...(execution as { executeRunComfy: typeof executeRunComfy }),
		...(runtime as { systemRuntime: typeof systemRuntime }),
	};
}
