"""The model that the runtime is compared with: a plain state under the oracle, and a host of official scripts."""
