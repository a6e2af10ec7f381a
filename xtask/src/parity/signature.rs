//! Signatures as text that is equal where a caller sees no difference.

use quote::ToTokens;
use syn::visit_mut::{self, VisitMut};
use syn::{
    FnArg, GenericArgument, GenericParam, Lifetime, Path, PathArguments, Receiver, Signature, Type,
    TypeParamBound, TypeReference, WherePredicate,
};

/// A method's signature: paths by their last name, no lifetimes, no names of arguments, bounds
/// where the parameter is declared, `Self` spelt out.
pub(super) fn of_method(signature: &Signature, type_name: &str) -> String {
    let mut signature = signature.clone();
    bounds_to_parameters(&mut signature);
    let mut plain = Plain { type_name };
    plain.visit_signature_mut(&mut signature);
    let mut words = Vec::new();
    if signature.asyncness.is_some() {
        words.push("async".to_owned());
    }
    if signature.unsafety.is_some() {
        words.push("unsafe".to_owned());
    }
    words.push("fn".to_owned());
    let generics = text(&signature.generics);
    let inputs: Vec<String> = signature.inputs.iter().map(argument).collect();
    let output = text(&signature.output);
    words.push(format!("{generics}({})", inputs.join(", ")));
    words.push(output);
    words.join(" ").trim().to_owned()
}

/// A type in the same manner.
pub(super) fn of_type(of: &Type) -> String {
    let mut of = of.clone();
    Plain { type_name: "Self" }.visit_type_mut(&mut of);
    text(&of)
}

/// The last name of a path, with its arguments.
pub(super) fn of_path(path: &Path, type_name: &str) -> String {
    let mut path = path.clone();
    Plain { type_name }.visit_path_mut(&mut path);
    text(&path)
}

fn argument(input: &FnArg) -> String {
    match input {
        FnArg::Receiver(receiver) => match (&receiver.reference, &receiver.mutability) {
            (Some(_), Some(_)) => "&mut self".to_owned(),
            (Some(_), None) => "&self".to_owned(),
            (None, _) => "self".to_owned(),
        },
        FnArg::Typed(argument) => text(&argument.ty),
    }
}

/// Tokens as people write them.
fn text(tokens: &impl ToTokens) -> String {
    let spaced = tokens.to_token_stream().to_string();
    let mut text = String::new();
    for word in spaced.split_whitespace() {
        let tight = matches!(word, "<" | ">" | "," | ")" | "?" | ":" | "]")
            || text.ends_with(['<', '(', '&', '?', '['])
            || (word.starts_with(['(', '[']) && !text.ends_with([',', '>', ' ']))
            || text.is_empty();
        if !tight {
            text.push(' ');
        }
        text.push_str(word);
    }
    text.replace("->", " -> ")
        .replace("  ", " ")
        .trim()
        .to_owned()
}

/// `where T: Bound` becomes `<T: Bound>`.
fn bounds_to_parameters(signature: &mut Signature) {
    let Some(clause) = signature.generics.where_clause.take() else {
        return;
    };
    for predicate in clause.predicates {
        let WherePredicate::Type(bound) = predicate else {
            continue;
        };
        let name = text(&bound.bounded_ty);
        for parameter in &mut signature.generics.params {
            if let GenericParam::Type(parameter) = parameter
                && parameter.ident == name
            {
                parameter.colon_token.get_or_insert_with(Default::default);
                parameter.bounds.extend(bound.bounds.clone());
            }
        }
    }
}

struct Plain<'a> {
    type_name: &'a str,
}

impl VisitMut for Plain<'_> {
    fn visit_signature_mut(&mut self, signature: &mut Signature) {
        let parameters = std::mem::take(&mut signature.generics.params);
        let kept = parameters.into_iter();
        signature.generics.params = kept
            .filter(|parameter| !matches!(parameter, GenericParam::Lifetime(_)))
            .collect();
        if signature.generics.params.is_empty() {
            signature.generics.lt_token = None;
            signature.generics.gt_token = None;
        }
        visit_mut::visit_signature_mut(self, signature);
    }

    fn visit_path_mut(&mut self, path: &mut Path) {
        visit_mut::visit_path_mut(self, path);
        let Some(last) = path.segments.last().cloned() else {
            return;
        };
        path.leading_colon = None;
        path.segments = std::iter::once(last).collect();
        for segment in &mut path.segments {
            if segment.ident == "Self" {
                segment.ident = syn::Ident::new(self.type_name, segment.ident.span());
            }
            let PathArguments::AngleBracketed(arguments) = &mut segment.arguments else {
                continue;
            };
            let all = std::mem::take(&mut arguments.args).into_iter();
            arguments.args = all
                .filter(|argument| !matches!(argument, GenericArgument::Lifetime(_)))
                .collect();
            if arguments.args.is_empty() {
                segment.arguments = PathArguments::None;
            }
        }
    }

    fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
        reference.lifetime = None;
        visit_mut::visit_type_reference_mut(self, reference);
    }

    fn visit_receiver_mut(&mut self, receiver: &mut Receiver) {
        if let Some((_, lifetime)) = &mut receiver.reference {
            *lifetime = None::<Lifetime>;
        }
    }

    fn visit_type_impl_trait_mut(&mut self, of: &mut syn::TypeImplTrait) {
        let all = std::mem::take(&mut of.bounds).into_iter();
        // Which parameters an opaque type captures is the edition's affair.
        of.bounds = all
            .filter(|bound| {
                !matches!(
                    bound,
                    TypeParamBound::PreciseCapture(_) | TypeParamBound::Lifetime(_)
                )
            })
            .collect();
        visit_mut::visit_type_impl_trait_mut(self, of);
    }
}
