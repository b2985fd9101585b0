// Deploys, sends, reads logs and meets errors with ethers; prints what it saw as JSON.
// Arguments: RPC URL, path of the contract's artifact, private key of a funded account.
import { readFileSync } from "node:fs";
import { ContractFactory, JsonRpcProvider, Wallet, isCallException } from "ethers";

const [url, artifactPath, privateKey] = process.argv.slice(2);
const { abi, bytecode } = JSON.parse(readFileSync(artifactPath, "utf8"));

async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    if (!isCallException(error)) return { code: error.code, message: error.shortMessage };
    const { name, signature, args } = error.revert ?? {};
    return { action: error.action, name, signature, args: args?.map(String), data: error.data };
  }
  throw new Error("nothing was refused");
}

const provider = new JsonRpcProvider(url, undefined, { pollingInterval: 20, cacheTimeout: -1 });
const seen = {};
try {
  const wallet = new Wallet(privateKey, provider);
  const factory = new ContractFactory(abi, bytecode, wallet);
  const contract = await factory.deploy(5n);
  await contract.waitForDeployment();
  seen.initial = String(await contract.value());

  const sent = await contract.set(7n, "by wallet");
  const receipt = await sent.wait();
  seen.receipt = { status: receipt.status, type: receipt.type, logs: receipt.logs.length };

  const unlocked = contract.connect(await provider.getSigner(0));
  await (await unlocked.set(8n, "by node")).wait();
  seen.value = String(await contract.value());
  seen.before = String(await contract.value({ blockTag: receipt.blockNumber - 1 }));

  const events = await contract.queryFilter(contract.filters.Changed(), 0, "latest");
  seen.events = events.map(({ args }) => [args.by, String(args.value), args.note]);
  const mine = await contract.queryFilter(contract.filters.Changed(wallet.address), 0);
  seen.mine = mine.length;

  seen.customError = await refusal(contract.set.staticCall(101n, ""));
  seen.customErrorWhileSending = await refusal(contract.set(101n, ""));
  seen.reason = await refusal(contract.failWithString());
  seen.panic = await refusal(contract.failWithPanic(0n));
  const failing = await contract.set(101n, "", { gasLimit: 200_000n });
  seen.mined = await refusal(failing.wait());

  const nonce = (await wallet.getNonce()) - 1;
  seen.nonceTooLow = await refusal(wallet.sendTransaction({ to: wallet.address, nonce }));
  const poor = Wallet.createRandom(provider);
  seen.poor = await refusal(poor.sendTransaction({ to: wallet.address, value: 1n }));

  const block = await provider.getBlock("latest", true);
  seen.block = { number: block.number, transactions: block.prefetchedTransactions.length };
  const { gasPrice, maxFeePerGas } = await provider.getFeeData();
  seen.fees = [typeof gasPrice, typeof maxFeePerGas];
  seen.chainId = String((await provider.getNetwork()).chainId);
} finally {
  provider.destroy();
}
console.log(JSON.stringify(seen));
