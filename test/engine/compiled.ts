import type { RunComfyApi } from '../../credentials/RunComfyApi.credentials';
import type { RunComfy } from '../../nodes/RunComfy/RunComfy.node';

/** Node and credential as `npm run build` has compiled them, that is, as they are published. */
export async function loadCompiled(): Promise<{
	RunComfy: typeof RunComfy;
	RunComfyApi: typeof RunComfyApi;
}> {
	const node: unknown = await import('../../dist/nodes/RunComfy/RunComfy.node.js');
	const credential: unknown = await import('../../dist/credentials/RunComfyApi.credentials.js');
	return {
		...(node as { RunComfy: typeof RunComfy }),
		...(credential as { RunComfyApi: typeof RunComfyApi }),
	};
}
