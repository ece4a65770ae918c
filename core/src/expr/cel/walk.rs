//! Our own walk of the tree that the engine made: its size, its names, its functions, and its types as far as they show.

use ::cel::common::ast::operators as op;
use ::cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr as Node, IdedExpr, LiteralValue, SelectExpr};

use super::json::MAX_VALUES;
use super::kind::{Fields, Kind};
use crate::expr::{ExprError, Reads, Yields};

/// How deep a tree may be: its evaluation is recursive.
pub(super) const MAX_DEPTH: usize = 32;

/// How many nodes a tree may have. A loop is about eight besides its body.
const MAX_NODES: usize = 256;

/// How many loops may stand in one another, or one after another: each can make a list as long as the squared one before.
const MAX_LOOPS: usize = 2;

/// How long what is walked may be where there are two loops: ten thousand steps in all.
const MAX_WALKED: usize = 100;

/// What is known of a tree that may be used.
pub(super) struct Checked {
    /// How many elements a list or map of the request's may have.
    pub(super) most: usize,
    pub(super) reads: Reads,
}

/// Checks a tree.
pub(super) fn check(tree: &IdedExpr, source: &str, yields: Yields) -> Result<Checked, ExprError> {
    let mut walk = Walk { bound: Vec::new(), loops: 0, nodes: 0, reads: Reads::default(), source };
    let kind = walk.value(tree, At { depth: 1, loops: 0 })?;
    let fits = match yields {
        Yields::Anything => true,
        Yields::Condition => kind.may_be(Kind::Bool),
        Yields::Count => kind.may_be(Kind::Int) || kind == Kind::Uint,
    };
    if !fits {
        let wanted = if yields == Yields::Condition { "true or false" } else { "a whole number" };
        return Err(ExprError::new(format!("it yields {kind}, not {wanted}"), None));
    }
    let most = if walk.loops < MAX_LOOPS { MAX_VALUES } else { MAX_WALKED };
    Ok(Checked { most, reads: walk.reads })
}

/// Where the walk is.
#[derive(Clone, Copy)]
struct At {
    depth: usize,
    loops: usize,
}

impl At {
    const fn below(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }
}

struct Walk<'s> {
    /// The names that loops bind, and what they stand for.
    bound: Vec<(&'s str, Kind)>,
    /// The most loops in one another.
    loops: usize,
    nodes: usize,
    reads: Reads,
    source: &'s str,
}

impl<'s> Walk<'s> {
    /// A part whose value is used as a whole.
    fn value(&mut self, tree: &'s IdedExpr, at: At) -> Result<Kind, ExprError> {
        match self.part(tree, at)? {
            Kind::Fields(fields) => {
                let uses = if fields.is_map() {
                    "it can be searched with `in` and `has`, counted with `size`, walked, and asked for a key"
                } else {
                    "it can only be asked for its fields"
                };
                Err(self.error(format!("{fields} is no value by itself: {uses}"), &fields.to_string()))
            }
            kind => Ok(kind),
        }
    }

    /// A part of the tree.
    fn part(&mut self, tree: &'s IdedExpr, at: At) -> Result<Kind, ExprError> {
        self.nodes += 1;
        if at.depth > MAX_DEPTH {
            return Err(ExprError::new(format!("it is more than {MAX_DEPTH} levels deep"), None));
        }
        if self.nodes > MAX_NODES {
            return Err(ExprError::new(format!("it has more than {MAX_NODES} parts"), None));
        }
        match &tree.expr {
            Node::Call(call) => self.call(call, at.below()),
            Node::Comprehension(looped) => self.looped(looped, at.below()),
            Node::Ident(name) => self.name(name),
            Node::List(list) => {
                list.elements.iter().try_for_each(|element| self.value(element, at.below()).map(drop))?;
                Ok(Kind::List)
            }
            Node::Literal(literal) => Ok(literal_kind(literal)),
            Node::Map(map) => {
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else { return Err(unknown_form()) };
                    self.value(&entry.key, at.below())?;
                    self.value(&entry.value, at.below())?;
                }
                Ok(Kind::Map)
            }
            Node::Select(select) => self.select(select, at.below()),
            Node::Struct(made) => Err(self.error("there are no types of your own", &made.type_name)),
            Node::Unspecified => Err(unknown_form()),
        }
    }

    fn name(&mut self, name: &'s str) -> Result<Kind, ExprError> {
        if let Some((_, kind)) = self.bound.iter().rev().find(|(bound, _)| *bound == name) {
            return Ok(*kind);
        }
        let Some(fields) = Fields::named(name) else {
            let message = match name {
                "response" => "there is no response yet".to_owned(),
                _ => format!("there is no `{name}`; there is request, params and identity"),
            };
            return Err(self.error(message, name));
        };
        self.reads.identity |= fields == Fields::Identity;
        Ok(Kind::Fields(fields))
    }

    fn select(&mut self, select: &'s SelectExpr, at: At) -> Result<Kind, ExprError> {
        let operand = self.part(&select.operand, at)?;
        let kind = self.field(operand, &select.field)?;
        Ok(if select.test { Kind::Bool } else { kind })
    }

    /// What `operand` has under a name that the expression spells out.
    fn field(&mut self, operand: Kind, name: &str) -> Result<Kind, ExprError> {
        let fields = match operand {
            Kind::Any | Kind::Map => return Ok(Kind::Any),
            Kind::Fields(fields) => fields,
            _ => return Err(self.error(format!("{operand} has no fields"), name)),
        };
        match (fields, fields.fixed()) {
            (_, Some(fixed)) => fixed.iter().find(|(own, _)| *own == name).map(|(_, kind)| *kind).ok_or_else(|| {
                let names: Vec<_> = fixed.iter().map(|(own, _)| *own).collect();
                self.error(format!("{fields} has no `{name}`; it has {}", names.join(", ")), name)
            }),
            (Fields::Headers, None) if name.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                Err(self.error("header names are written in lower case", name))
            }
            (Fields::Params, None) => {
                if !self.reads.params.iter().any(|param| &**param == name) {
                    self.reads.params.push(name.into());
                }
                Ok(Kind::String)
            }
            (Fields::Claims, None) => Ok(Kind::Any),
            _ => Ok(Kind::String),
        }
    }

    fn index(&mut self, operand: &'s IdedExpr, key: &'s IdedExpr, at: At) -> Result<Kind, ExprError> {
        let operand = self.part(operand, at)?;
        let kind = self.value(key, at)?;
        match (operand, &key.expr) {
            (Kind::Any | Kind::List | Kind::Map, _) => Ok(Kind::Any),
            (Kind::Fields(_), Node::Literal(LiteralValue::String(name))) => self.field(operand, name.inner()),
            (Kind::Fields(Fields::Claims), _) if kind.may_be(Kind::String) => Ok(Kind::Any),
            (Kind::Fields(fields), _) if fields.is_map() && kind.may_be(Kind::String) => Ok(Kind::String),
            _ => Err(self.error(format!("{operand} cannot be asked for {kind}"), "[")),
        }
    }

    fn looped(&mut self, looped: &'s ComprehensionExpr, at: At) -> Result<Kind, ExprError> {
        let at = At { loops: at.loops + 1, ..at };
        self.loops = self.loops.max(at.loops);
        if at.loops > MAX_LOOPS {
            let message = format!(
                "loops (all, exists, exists_one, filter, map) stand more than {MAX_LOOPS} in or behind one another"
            );
            return Err(ExprError::new(message, None));
        }
        let range = self.part(&looped.iter_range, at)?;
        if !range.is_collection() {
            return Err(self.error(format!("{range} cannot be walked"), &looped.iter_var));
        }
        for name in std::iter::once(&looped.iter_var).chain(&looped.iter_var2) {
            if Fields::named(name).is_some() {
                return Err(self.error(format!("`{name}` is taken"), name));
            }
        }
        let start = self.value(&looped.accu_init, at)?;
        let outside = self.bound.len();
        let element = if matches!(range, Kind::Fields(_)) { Kind::String } else { Kind::Any };
        self.bound.push((&looped.iter_var, element));
        self.bound.extend(looped.iter_var2.as_deref().map(|name| (name, Kind::Any)));
        self.bound.push((&looped.accu_var, start));
        self.value(&looped.loop_cond, at)?;
        self.value(&looped.loop_step, at)?;
        let kind = self.value(&looped.result, at);
        self.bound.truncate(outside);
        kind
    }

    fn call(&mut self, call: &'s CallExpr, at: At) -> Result<Kind, ExprError> {
        let name = call.func_name.as_str();
        match (name, call.target.as_deref(), call.args.as_slice()) {
            (op::INDEX, None, [operand, key]) => self.index(operand, key, at),
            (op::IN, None, [value, within]) => {
                self.value(value, at)?;
                self.collection(within, "searched", "in", at)?;
                Ok(Kind::Bool)
            }
            ("size", Some(operand), []) | ("size", None, [operand]) => {
                let kind = self.part(operand, at)?;
                let counts = kind.is_collection() || matches!(kind, Kind::Bytes | Kind::String);
                if counts { Ok(Kind::Int) } else { Err(self.error(format!("{kind} has no size"), "size")) }
            }
            (op::CONDITIONAL, None, [condition, yes, no]) => {
                self.wanted(condition, Kind::Bool, "?", at)?;
                let (yes, no) = (self.value(yes, at)?, self.value(no, at)?);
                Ok(if yes == no { yes } else { Kind::Any })
            }
            (op::LOGICAL_AND | op::LOGICAL_OR, None, [left, right]) => {
                let sign = sign(name);
                self.wanted(left, Kind::Bool, sign, at)?;
                self.wanted(right, Kind::Bool, sign, at)?;
                Ok(Kind::Bool)
            }
            (op::LOGICAL_NOT | op::NOT_STRICTLY_FALSE, None, [operand]) => {
                self.wanted(operand, Kind::Bool, "!", at)?;
                Ok(Kind::Bool)
            }
            (op::NEGATE, None, [operand]) => self.value(operand, at),
            (
                op::EQUALS | op::NOT_EQUALS | op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS,
                None,
                [left, right],
            ) => self.compared(name, left, right, at),
            (op::ADD | op::SUBSTRACT | op::MULTIPLY | op::DIVIDE | op::MODULO, None, [left, right]) => {
                let (left, right) = (self.value(left, at)?, self.value(right, at)?);
                if !left.may_be(right) {
                    return Err(self.error(format!("`{}` does not go with {left} and {right}", sign(name)), sign(name)));
                }
                Ok(if left == Kind::Any { right } else { left })
            }
            ("contains" | "endsWith" | "startsWith", Some(text), [part]) => {
                self.wanted(text, Kind::String, name, at)?;
                self.wanted(part, Kind::String, name, at)?;
                Ok(Kind::Bool)
            }
            ("bool" | "double" | "int" | "string" | "uint", None, [operand]) => {
                self.value(operand, at)?;
                Ok(converted(name))
            }
            _ => Err(self.unknown(call)),
        }
    }

    /// A part that has to be of one kind.
    fn wanted(&mut self, tree: &'s IdedExpr, kind: Kind, of: &str, at: At) -> Result<(), ExprError> {
        let found = self.value(tree, at)?;
        if found.may_be(kind) {
            return Ok(());
        }
        Err(self.error(format!("`{of}` takes {kind}, not {found}"), of))
    }

    fn collection(&mut self, tree: &'s IdedExpr, done: &str, of: &str, at: At) -> Result<(), ExprError> {
        let kind = self.part(tree, at)?;
        if kind.is_collection() { Ok(()) } else { Err(self.error(format!("{kind} cannot be {done}"), of)) }
    }

    fn compared(&mut self, name: &str, left: &'s IdedExpr, right: &'s IdedExpr, at: At) -> Result<Kind, ExprError> {
        let (left, right) = (self.value(left, at)?, self.value(right, at)?);
        let with_null = matches!(name, op::EQUALS | op::NOT_EQUALS) && (left == Kind::Null || right == Kind::Null);
        if left.compares_with(right) || with_null {
            return Ok(Kind::Bool);
        }
        Err(self.error(format!("`{}` compares {left} with {right}", sign(name)), sign(name)))
    }

    fn unknown(&self, call: &CallExpr) -> ExprError {
        let name = call.func_name.as_str();
        let message = match name {
            "matches" => {
                "there is no `matches`: patterns are not built yet; there is contains, startsWith and endsWith"
                    .to_owned()
            }
            "has" | "all" | "bool" | "contains" | "double" | "endsWith" | "exists" | "exists_one" | "existsOne"
            | "filter" | "int" | "map" | "size" | "startsWith" | "string" | "uint" => {
                format!("`{name}` is not called so: has(x.y), size(x), x.contains(y), x.exists(e, …), int(x)")
            }
            _ => format!(
                "there is no function `{name}`; there is has, size, contains, startsWith, endsWith, all, exists, exists_one, filter, \
                 map, bool, double, int, string, uint"
            ),
        };
        self.error(message, name)
    }

    /// An error about a word of the text: the engine does not say where a part of its tree came from, so it is looked for.
    fn error(&self, message: impl Into<String>, word: &str) -> ExprError {
        ExprError::new(message, find(self.source, word))
    }
}

fn unknown_form() -> ExprError {
    ExprError::new("it has a part that is no value", None)
}

/// Where `word` stands by itself. Found twice, nobody knows which it is.
fn find(source: &str, word: &str) -> Option<usize> {
    let is_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let whole = |at: &usize| {
        let (before, after) =
            (source.get(..*at).unwrap_or_default(), source.get(*at + word.len()..).unwrap_or_default());
        !word.starts_with(is_name) || !(before.ends_with(is_name) || after.starts_with(is_name))
    };
    let mut places = source.match_indices(word).map(|(at, _)| at).filter(whole);
    match (places.next(), places.next()) {
        (Some(at), None) if !word.is_empty() => Some(at),
        _ => None,
    }
}

/// An operator as it is written.
fn sign(name: &str) -> &str {
    name.trim_matches('_')
}

fn converted(function: &str) -> Kind {
    match function {
        "bool" => Kind::Bool,
        "double" => Kind::Double,
        "int" => Kind::Int,
        "uint" => Kind::Uint,
        _ => Kind::String,
    }
}

fn literal_kind(literal: &LiteralValue) -> Kind {
    match literal {
        LiteralValue::Boolean(_) => Kind::Bool,
        LiteralValue::Bytes(_) => Kind::Bytes,
        LiteralValue::Double(_) => Kind::Double,
        LiteralValue::Int(_) => Kind::Int,
        LiteralValue::Null => Kind::Null,
        LiteralValue::String(_) => Kind::String,
        LiteralValue::UInt(_) => Kind::Uint,
    }
}
