//! Draws a problem as a compiler would: what, where with a caret, and how to mend it.

use annotate_snippets::{AnnotationKind, Group, Level, Origin as Header, Renderer, Snippet};

use crate::problem::{Problem, Severity};
use crate::source::{Origin, Source, Sources};

/// Lines longer than this are not drawn: the caret would be lost in them.
const LONGEST_LINE: usize = 400;

pub(crate) fn problem(problem: &Problem, sources: &Sources, color: bool) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = if problem.path.is_empty() {
        problem.message.clone()
    } else {
        format!("{}: {}", problem.path, problem.message)
    };
    let mut group = Group::with_title(level.primary_title(title));
    if let Some(origin) = problem.origin {
        group = located(group, origin, sources);
    }
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    renderer.render(&[group])
}

fn located<'a>(group: Group<'a>, origin: Origin, sources: &'a Sources) -> Group<'a> {
    let source = sources.get(origin.source());
    let (start, end) = lines(source, origin);
    let name = match source.is_file {
        true => source.name.as_str(),
        false if source.layer == crate::Layer::Env => "environment",
        false => "command line",
    };
    let line = source.text[..start].matches('\n').count() + 1;
    if end - start > LONGEST_LINE {
        let column = source.text[start..origin.range().start].chars().count() + 1;
        return group.element(Header::path(name).line(line).char_column(column));
    }
    let span =
        origin.range().start - start..origin.range().end.min(end).max(origin.range().start) - start;
    group.element(
        Snippet::source(&source.text[start..end])
            .path(name)
            .line_start(line)
            .line_numbering(source.is_file)
            .annotation(AnnotationKind::Primary.span(span)),
    )
}

/// The line in which the stretch begins: what spans many lines is shown by its first.
fn lines(source: &Source, origin: Origin) -> (usize, usize) {
    let text = &source.text;
    let at = origin.range().start.min(text.len());
    let start = text[..at].rfind('\n').map_or(0, |at| at + 1);
    let end = text[at..].find('\n').map_or(text.len(), |len| at + len);
    (start, end)
}
