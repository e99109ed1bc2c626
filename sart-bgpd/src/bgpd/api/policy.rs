//! Policies in API calls. Translates; must never judge a policy itself.

use sart_bgp::config::{ConfigError, PolicySource};
use sart_bgp::policy::{Direction, PolicyConfig};
use sart_bgp::speaker::Speaker;
use sart_rpc::v1;
use tonic::Status;

use super::text::{effective_text, policy_config, policy_config_text};

/// Sets and policies of a request; none given are none.
pub(super) fn read(text: Option<&v1::PolicyConfig>) -> Result<PolicyConfig, Status> {
    let read = text.map(policy_config).transpose();
    Ok(read.map_err(|error| super::refused(ConfigError::from(error)))?.unwrap_or_default())
}

/// Everything about policies, as it is in force.
pub(super) fn answer(speaker: &Speaker) -> v1::GetPolicyResponse {
    let Some(source) = speaker.policy_source() else { return v1::GetPolicyResponse::default() };
    v1::GetPolicyResponse {
        configured: Some(policy_config_text(&speaker.policy())),
        generated: Some(policy_config_text(source.generated())),
        neighbors: neighbors(speaker, source),
    }
}

fn neighbors(speaker: &Speaker, source: &PolicySource) -> Vec<v1::NeighborPolicy> {
    let configs = speaker.neighbor_configs();
    let chain = |config, direction| Some(effective_text(source.effective(config, direction)));
    configs
        .iter()
        .map(|config| v1::NeighborPolicy {
            address: config.address.to_string(),
            name: config.name.clone(),
            import: chain(config, Direction::Import),
            export: chain(config, Direction::Export),
        })
        .collect()
}
