//! Owns: showing diagnostics: to people as a compiler does, to machines as JSON.
//! Refuses: showing more of a file than the line that is marked.
//! Always holds: diagnostics come in the order of their places, whatever order they were found in.

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};
use serde_json::{Value, json};

use super::sources::{Place, Sources};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};

impl Sources {
    /// The diagnostics for people; with terminal colours if `colour`. Ends with a line break unless there are none.
    #[must_use]
    pub fn render(&self, diagnostics: &Diagnostics, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut rendered = String::new();
        for (place, diagnostic) in self.in_order(diagnostics) {
            rendered.push_str(&self.render_one(&renderer, place, diagnostic));
            rendered.push_str("\n\n");
        }
        if rendered.ends_with("\n\n") {
            rendered.pop();
        }
        rendered
    }

    /// The diagnostics for machines: a list of objects with `severity`, `path`, `file`, `line`, `column`, `message`, `remedy`.
    #[must_use]
    pub fn to_json(&self, diagnostics: &Diagnostics) -> Value {
        let one = |(place, diagnostic): (Option<Place>, &Diagnostic)| {
            json!({
                "severity": match diagnostic.severity { Severity::Error => "error", Severity::Warning => "warning" },
                "path": diagnostic.path.to_string(),
                "file": place.as_ref().map(|place| place.file.display().to_string()),
                "line": place.as_ref().map(|place| place.line),
                "column": place.as_ref().map(|place| place.column),
                "message": diagnostic.message,
                "remedy": diagnostic.remedy,
            })
        };
        self.in_order(diagnostics).into_iter().map(one).collect()
    }

    fn in_order<'d>(&self, diagnostics: &'d Diagnostics) -> Vec<(Option<Place>, &'d Diagnostic)> {
        let mut placed: Vec<_> = diagnostics.iter().map(|one| (self.place_of(one), one)).collect();
        let file_number = |place: &Place| self.files.iter().position(|file| file.name == place.file);
        placed.sort_by_cached_key(|(place, _)| place.as_ref().map(|place| (file_number(place), place.range.start)));
        placed
    }

    fn render_one(&self, renderer: &Renderer, place: Option<Place>, diagnostic: &Diagnostic) -> String {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(diagnostic.message.as_str());
        let help = Level::HELP.message(diagnostic.remedy.as_str());
        let file = place
            .as_ref()
            .and_then(|place| self.files.iter().find(|file| file.name == place.file))
            .or_else(|| self.main_file());
        let Some(file) = file else { return renderer.render(&[title.element(help)]) };
        let name = file.name.display().to_string();
        let Some(place) = place.filter(|_| !file.text().is_empty()) else {
            return renderer.render(&[title.element(Origin::path(name)).element(help)]);
        };
        // Only the first line of what is marked is shown: the others say nothing about the mistake, and may be many.
        let (_, bytes) = file.line(place.range.start);
        let line = file.text().get(bytes.clone()).unwrap_or_default();
        let start = place.range.start.saturating_sub(bytes.start).min(line.len());
        let end = place.range.end.saturating_sub(bytes.start).clamp(start, line.len());
        let snippet = Snippet::source(line)
            .line_start(place.line)
            .path(name)
            .annotation(AnnotationKind::Primary.span(start..end));
        renderer.render(&[title.element(snippet).element(help)])
    }
}
