//! `sart cni`: one call to the node agent, and its answer as text. Never looks at the kernel or the journal itself.

mod rows;
#[cfg(test)]
mod tests;

use sart_rpc::v1;
use sart_rpc::v1::cni_service_client::CniServiceClient;

use crate::args::{CniArgs, CniCommand, Format};
use crate::output::{json, refused, table};

/// Exit code where something differs; 1 says that nobody could be asked, 2 that the usage is wrong.
pub(crate) const DIFFERS: u8 = 3;

/// The answer, and whether nothing differs (any longer).
pub(crate) async fn run(args: CniArgs, format: Format) -> anyhow::Result<(String, bool)> {
    let path = sart_rpc::socket_path(&args.endpoint)?;
    let mut client = CniServiceClient::new(sart_rpc::connect(path).await?);
    match args.command {
        CniCommand::List => {
            let answer = client.list_attachments(v1::ListAttachmentsRequest {}).await;
            let answer = answer.map_err(|status| refused(&status))?.into_inner();
            Ok((list(answer.attachments, format)?, true))
        }
        CniCommand::Check => {
            let answer = client.check_attachments(v1::CheckAttachmentsRequest {}).await;
            let answer = answer.map_err(|status| refused(&status))?.into_inner();
            let report = rows::report(answer.findings, (answer.attachments, answer.busy));
            Ok((shown(&report, format)?, report.agrees()))
        }
        CniCommand::Repair => {
            let answer = client.repair_attachments(v1::RepairAttachmentsRequest {}).await;
            let answer = answer.map_err(|status| refused(&status))?.into_inner();
            let report = rows::repaired(answer.findings, (answer.attachments, answer.busy));
            Ok((shown(&report, format)?, report.agrees()))
        }
    }
}

fn list(attachments: Vec<v1::Attachment>, format: Format) -> anyhow::Result<String> {
    let rows: Vec<_> = attachments.into_iter().map(rows::AttachmentRow::from).collect();
    match format {
        Format::Plain => Ok(table(&rows::ATTACHMENT_COLUMNS, rows.iter().map(rows::AttachmentRow::cells))),
        Format::Json => json(&rows),
    }
}

/// A table of what differs, if anything does, and one sentence.
fn shown(report: &rows::Report, format: Format) -> anyhow::Result<String> {
    if format == Format::Json {
        return json(report);
    }
    let summary = report.summary() + "\n";
    if report.findings.is_empty() {
        return Ok(summary);
    }
    Ok(table(&rows::FINDING_COLUMNS, report.findings.iter().map(rows::FindingRow::cells)) + &summary)
}
