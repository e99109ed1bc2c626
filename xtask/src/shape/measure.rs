//! Measures one parsed file: its source lines and its functions. Pure.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::source::{Source, is_test};

/// One function as the budgets see it.
pub(super) struct Function {
    /// Its name.
    pub(super) name: String,
    /// Line of `fn`, from 1.
    pub(super) line: usize,
    /// Lines from `fn` to the closing brace.
    pub(super) lines: usize,
    /// Arguments, `self` included.
    pub(super) arguments: usize,
    /// Deepest nesting of control-flow blocks.
    pub(super) nesting: usize,
}

/// Lines of the file outside `#[cfg(test)]` items.
pub(super) fn source_lines(file: &Source) -> usize {
    let tests: usize = file
        .tree
        .items
        .iter()
        .filter_map(|item| match item {
            syn::Item::Mod(module) if is_test(&module.attrs) => Some(span_lines(module.span())),
            _ => None,
        })
        .sum();
    file.text.lines().count().saturating_sub(tests)
}

/// Every function that ships.
pub(super) fn functions(file: &Source) -> Vec<Function> {
    let mut finder = Finder::default();
    finder.visit_file(&file.tree);
    finder.found
}

fn span_lines(span: Span) -> usize {
    span.end().line + 1 - span.start().line
}

#[derive(Default)]
struct Finder {
    found: Vec<Function>,
}

impl Finder {
    fn record(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let mut depth = Depth::default();
        depth.visit_block(block);
        let line = signature.fn_token.span().start().line;
        self.found.push(Function {
            name: signature.ident.to_string(),
            line,
            lines: block.span().end().line + 1 - line,
            arguments: signature.inputs.len(),
            nesting: depth.deepest,
        });
    }
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_test(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        if !is_test(&function.attrs) {
            self.record(&function.sig, &function.block);
            visit::visit_item_fn(self, function);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.record(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.record(&function.sig, block);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

/// Counts nested `if`, `match`, `for`, `while` and `loop`; an `else if` stays on its level.
#[derive(Default)]
struct Depth {
    now: usize,
    deepest: usize,
}

impl Depth {
    fn inside(&mut self, walk: impl FnOnce(&mut Self)) {
        self.now += 1;
        self.deepest = self.deepest.max(self.now);
        walk(self);
        self.now -= 1;
    }
}

impl<'ast> Visit<'ast> for Depth {
    fn visit_expr_if(&mut self, expr: &'ast syn::ExprIf) {
        self.inside(|depth| {
            depth.visit_expr(&expr.cond);
            depth.visit_block(&expr.then_branch);
        });
        match &expr.else_branch {
            Some((_, other)) if matches!(**other, syn::Expr::If(_)) => self.visit_expr(other),
            Some((_, other)) => self.inside(|depth| depth.visit_expr(other)),
            None => {}
        }
    }

    fn visit_expr_match(&mut self, expr: &'ast syn::ExprMatch) {
        self.inside(|depth| visit::visit_expr_match(depth, expr));
    }

    fn visit_expr_for_loop(&mut self, expr: &'ast syn::ExprForLoop) {
        self.inside(|depth| visit::visit_expr_for_loop(depth, expr));
    }

    fn visit_expr_while(&mut self, expr: &'ast syn::ExprWhile) {
        self.inside(|depth| visit::visit_expr_while(depth, expr));
    }

    fn visit_expr_loop(&mut self, expr: &'ast syn::ExprLoop) {
        self.inside(|depth| visit::visit_expr_loop(depth, expr));
    }

    fn visit_item_fn(&mut self, _: &'ast syn::ItemFn) {
        // A function inside a function has a budget of its own.
    }
}

#[cfg(test)]
mod tests {
    use super::Depth;
    use syn::visit::Visit;

    fn nesting(body: &str) -> usize {
        let block: syn::Block = syn::parse_str(body).unwrap();
        let mut depth = Depth::default();
        depth.visit_block(&block);
        depth.deepest
    }

    #[test]
    fn an_else_if_chain_does_not_deepen() {
        assert_eq!(nesting("{ if a {} else if b {} else if c {} else {} }"), 1);
    }

    #[test]
    fn a_match_in_a_loop_in_an_if_is_three_deep() {
        assert_eq!(nesting("{ if a { loop { match b { _ => {} } } } }"), 3);
    }
}
