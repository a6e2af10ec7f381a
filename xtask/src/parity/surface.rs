//! The public surface of some files: methods, functions and traits, by type.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, ImplItem, ImplItemFn, Item, ItemImpl, Macro, Type, Visibility};

use super::{cfg, signature};

/// Where functions stand that belong to no type, and those who implement `ToSocketAddrs`.
pub(crate) const FUNCTIONS: &str = "functions and `ToSocketAddrs`";

/// One type.
#[derive(Default)]
pub(super) struct OfType {
    /// Signatures by name.
    pub(super) methods: BTreeMap<String, Method>,
    /// Traits, as they are written.
    pub(super) traits: BTreeMap<String, ()>,
}

/// One method.
#[derive(Clone)]
pub(super) struct Method {
    pub(super) signature: String,
    pub(super) is_deprecated: bool,
}

/// All of them.
#[derive(Default)]
pub(super) struct Surface {
    pub(super) types: BTreeMap<String, OfType>,
    /// Macros by example with one arm, which our split halves are made of.
    macros: BTreeMap<String, Rule>,
}

struct Rule {
    parameters: Vec<String>,
    body: TokenStream,
}

/// Items one after the other, as a macro's content.
struct Items(Vec<Item>);

impl Parse for Items {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut items = Vec::new();
        while !input.is_empty() {
            items.push(input.parse()?);
        }
        Ok(Self(items))
    }
}

/// What may stand in an `impl`.
struct ImplItems(Vec<ImplItem>);

impl Parse for ImplItems {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut items = Vec::new();
        while !input.is_empty() {
            items.push(input.parse()?);
        }
        Ok(Self(items))
    }
}

impl Surface {
    /// Reads `files`.
    pub(super) fn read(files: impl IntoIterator<Item = PathBuf>) -> Result<Self, String> {
        let mut surface = Self::default();
        for path in files {
            surface
                .read_file(&path)
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(surface)
    }

    fn read_file(&mut self, path: &Path) -> Result<(), String> {
        let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
        let file = syn::parse_file(&text).map_err(|error| error.to_string())?;
        // Macros are used in other files than where they stand, but after them by name.
        self.items(file.items).map_err(|error| error.to_string())
    }

    fn items(&mut self, items: Vec<Item>) -> syn::Result<()> {
        for item in items {
            match item {
                Item::Impl(item) if cfg::is_there(&item.attrs) => self.implementation(item)?,
                Item::Fn(item) if is_public(&item.vis) && cfg::is_there(&item.attrs) => {
                    let of = self.types.entry(FUNCTIONS.to_owned()).or_default();
                    let method = method(&item.sig, &item.attrs, "Self");
                    of.methods.insert(item.sig.ident.to_string(), method);
                }
                Item::Struct(item) if cfg::is_there(&item.attrs) => {
                    self.derives(&item.ident.to_string(), &item.attrs)?;
                }
                Item::Mod(item) if cfg::is_there(&item.attrs) => {
                    if let Some((_, items)) = item.content {
                        self.items(items)?;
                    }
                }
                Item::Macro(item) => self.item_macro(item)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn item_macro(&mut self, item: syn::ItemMacro) -> syn::Result<()> {
        let name = last_name(&item.mac);
        if let Some(ident) = item.ident {
            if let Some(rule) = rule(item.mac.tokens) {
                self.macros.insert(ident.to_string(), rule);
            }
            return Ok(());
        }
        if let Some(is_there) = cfg::wrapper(&name) {
            if is_there {
                self.items(item.mac.parse_body::<Items>()?.0)?;
            }
        } else if let Some(content) = self.expand(&name, &item.mac) {
            self.items(syn::parse2::<Items>(content)?.0)?;
        }
        Ok(())
    }

    /// What a macro with one arm becomes.
    fn expand(&self, name: &str, call: &Macro) -> Option<TokenStream> {
        let rule = self.macros.get(name)?;
        let arguments = match rule.parameters.as_slice() {
            [] => Vec::new(),
            [one] => vec![(one.clone(), call.tokens.clone())],
            _ => return None,
        };
        Some(substitute(rule.body.clone(), &arguments))
    }

    fn derives(&mut self, type_name: &str, attributes: &[Attribute]) -> syn::Result<()> {
        for attribute in attributes {
            if attribute.path().is_ident("derive") {
                attribute.parse_nested_meta(|meta| {
                    let name = signature::of_path(&meta.path, type_name);
                    let of = self.types.entry(type_name.to_owned()).or_default();
                    of.traits.insert(name, ());
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    fn implementation(&mut self, item: ItemImpl) -> syn::Result<()> {
        let type_name = base_name(&item.self_ty);
        if let Some((_, path, _)) = &item.trait_ {
            let is_address = ["ToSocketAddrs", "ToTargets"]
                .iter()
                .any(|name| path.is_ident(name));
            if is_address {
                let of = self.types.entry(FUNCTIONS.to_owned()).or_default();
                let who = signature::of_type(&item.self_ty);
                of.traits.insert(format!("ToSocketAddrs for {who}"), ());
            } else {
                let name = signature::of_path(path, &type_name);
                let of = self.types.entry(type_name).or_default();
                of.traits.insert(name, ());
            }
            return Ok(());
        }
        self.impl_items(&type_name, item.items)
    }

    fn impl_items(&mut self, type_name: &str, items: Vec<ImplItem>) -> syn::Result<()> {
        for item in items {
            match item {
                ImplItem::Fn(item) => self.method(type_name, &item),
                ImplItem::Macro(item) => {
                    let name = last_name(&item.mac);
                    let content = match cfg::wrapper(&name) {
                        Some(true) => Some(item.mac.tokens.clone()),
                        Some(false) => None,
                        None => self.expand(&name, &item.mac),
                    };
                    if let Some(content) = content {
                        let items = syn::parse2::<ImplItems>(content)?.0;
                        self.impl_items(type_name, items)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn method(&mut self, type_name: &str, item: &ImplItemFn) {
        if !is_public(&item.vis) || !cfg::is_there(&item.attrs) {
            return;
        }
        let of = self.types.entry(type_name.to_owned()).or_default();
        let name = item.sig.ident.to_string();
        let method = method(&item.sig, &item.attrs, type_name);
        of.methods.insert(name, method);
    }
}

fn method(of: &syn::Signature, attributes: &[Attribute], type_name: &str) -> Method {
    Method {
        signature: signature::of_method(of, type_name),
        is_deprecated: attributes
            .iter()
            .any(|attribute| attribute.path().is_ident("deprecated")),
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn last_name(call: &Macro) -> String {
    let last = call.path.segments.last();
    last.map(|segment| segment.ident.to_string())
        .unwrap_or_default()
}

/// `ReadHalf` of `ReadHalf<'_>`.
fn base_name(of: &Type) -> String {
    match of {
        Type::Path(path) => path
            .path
            .segments
            .last()
            .map(|segment| segment.ident.to_string())
            .unwrap_or_default(),
        _ => String::new(),
    }
}

/// The one arm of a macro by example.
fn rule(tokens: TokenStream) -> Option<Rule> {
    let mut tokens = tokens.into_iter();
    let TokenTree::Group(pattern) = tokens.next()? else {
        return None;
    };
    let body = tokens.find_map(|token| match token {
        TokenTree::Group(group) => Some(group.stream()),
        _ => None,
    })?;
    let pattern: Vec<TokenTree> = pattern.stream().into_iter().collect();
    let parameters = pattern
        .windows(2)
        .filter_map(|pair| match pair {
            [TokenTree::Punct(dollar), TokenTree::Ident(name)] if dollar.as_char() == '$' => {
                Some(name.to_string())
            }
            _ => None,
        })
        .collect();
    Some(Rule { parameters, body })
}

/// Puts the arguments in the parameters' places.
fn substitute(body: TokenStream, arguments: &[(String, TokenStream)]) -> TokenStream {
    let mut out = TokenStream::new();
    let mut tokens = body.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(dollar) if dollar.as_char() == '$' => {
                let name = tokens.next().map(|name| name.to_string());
                let name = name.unwrap_or_default();
                if let Some((_, value)) = arguments.iter().find(|argument| argument.0 == name) {
                    out.extend(value.clone());
                }
            }
            TokenTree::Group(group) => {
                let inner = substitute(group.stream(), arguments);
                let group = proc_macro2::Group::new(group.delimiter(), inner);
                out.extend([TokenTree::Group(group)]);
            }
            other => out.extend([other]),
        }
    }
    out
}
