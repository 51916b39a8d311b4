//! `allod inbox`: what an account is asked to do, by when, and what it would lose by not answering.

use super::{args::HowMany, context::Context, output::wrap, units::show_time};
use crate::api::views::InboxItem;
use anyhow::Result;

/// What an account is asked to do: vote, reveal, countersign, answer, accept; the first to end first.
#[derive(Debug, clap::Args)]
pub(super) struct Inbox {
    /// Its handle or id
    #[arg(value_name = "ACCOUNT", env = "ALLOD_AS")]
    whose: String,
    #[command(flatten)]
    how_many: HowMany,
}

impl Inbox {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        let path = format!("/v1/accounts/{}/inbox", self.whose);
        // The whole list, because what ends first may come last.
        let mut page = context.client()?.list::<InboxItem>(&path, usize::MAX).await?;
        page.items.sort_by_key(|item| (item.until.is_none(), item.until, item.kind));
        let more = page.items.len() > self.how_many.limit();
        page.items.truncate(self.how_many.limit());
        context.answer(&page.items, |items| show(items))?;
        context.note_more(more, page.items.len(), "entries");
        Ok(())
    }
}

/// Each item takes a few lines: by when, what, and the command that answers it, to be copied whole.
fn show(items: &[InboxItem]) -> String {
    if items.is_empty() {
        return "nothing is asked of this account".into();
    }
    let mut text = String::new();
    for item in items {
        let until = item.until.map_or_else(|| "at any time".to_owned(), |until| format!("until {}", show_time(until)));
        text.push_str(&format!("{until}\n{}\n    {}\n", wrap(&item.text, 2, 80), item.command));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::views::InboxKind;
    use allod_protocol::ground::ids::Timestamp;

    #[test]
    fn an_item_says_by_when_what_and_how() {
        let item = InboxItem {
            kind: InboxKind::Speak,
            text: "coast called on you in bay/digits: say something until then, or you no longer count".into(),
            model_name: None,
            id: None,
            until: Some(Timestamp::new(1_795_428_000_000)),
            command: "allod silence answer --model bay/digits --as bay".into(),
        };
        let shown = show(&[item]);
        assert_eq!(
            shown,
            "until 2026-11-23 10:00:00Z\n  coast called on you in bay/digits: say something until then, or you no longer\n  \
             count\n    allod silence answer --model bay/digits --as bay\n"
        );
        assert_eq!(show(&[]), "nothing is asked of this account");
    }
}
