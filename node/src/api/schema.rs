//! How the ledger's types look in OpenAPI. The types live in `protocol`, which knows nothing of HTTP; what stands here
//! describes their JSON form and is never built.

use super::views::{DryRunOutcome, Problem, ProgressView, RefusalView, VerifyLine};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ArrayBuilder, KnownFormat, Object, ObjectBuilder, OneOfBuilder, Ref, RefOr, SchemaFormat,
        schema::{AdditionalProperties, Schema, SchemaType, Type},
    },
};

/// A hash, an id, a key: 64 lowercase hexadecimal digits.
pub(crate) struct Hex32;

impl PartialSchema for Hex32 {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::String))
            .pattern(Some("^[0-9a-f]{64}$"))
            .description(Some("A hash, an id or a public key: 64 lowercase hexadecimal digits."));
        text.into()
    }
}
impl ToSchema for Hex32 {}

/// An artifact's address.
pub(crate) struct Cid;

impl PartialSchema for Cid {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).description(Some(
            "An artifact's address: a CID (version 1, raw, BLAKE3). 64 hexadecimal digits are understood too.",
        ));
        text.into()
    }
}
impl ToSchema for Cid {}

/// Units, weight.
pub(crate) struct Wide;

impl PartialSchema for Wide {
    fn schema() -> RefOr<Schema> {
        let digits = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).pattern(Some("^[0-9]+$")).build();
        OneOfBuilder::new()
            .description(Some("A whole number; a string of its digits where it is larger than 2^53."))
            .item(integer())
            .item(digits)
            .into()
    }
}
impl ToSchema for Wide {}

fn integer() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::Integer))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(0))
        .build()
}

fn text(description: &str) -> Object {
    ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).description(Some(description)).build()
}

/// An artifact as the ledger records it.
pub(crate) struct ArtifactSchema;

impl PartialSchema for ArtifactSchema {
    fn schema() -> RefOr<Schema> {
        let record = ObjectBuilder::new()
            .description(Some("An artifact as the ledger records it."))
            .property("address", Cid::schema())
            .required("address")
            .property("kind", KindSchema::schema())
            .required("kind")
            .property("size_bytes", integer())
            .required("size_bytes")
            .property("files", integer())
            .required("files");
        record.into()
    }
}
impl ToSchema for ArtifactSchema {
    fn name() -> std::borrow::Cow<'static, str> {
        "Artifact".into()
    }
}

/// What an artifact says of itself.
pub(crate) struct ContentsSchema;

impl PartialSchema for ContentsSchema {
    fn schema() -> RefOr<Schema> {
        let list = |description: &str| ArrayBuilder::new().items(text("")).description(Some(description)).build();
        let model_file = ObjectBuilder::new()
            .property("path", text("Its path in the collection; null if the artifact is the file."))
            .property("format", text("`safetensors` or `gguf`."))
            .property("tensors", integer())
            .property("parameters", integer())
            .property("dtypes", ObjectBuilder::new().additional_properties(Some(RefOr::T(Schema::from(integer())))));
        let unread_file = ObjectBuilder::new()
            .property("path", text("Its path in the collection; null if the artifact is the file."))
            .property("reason", text("What is not understood, or damaged."));
        let mut card = ObjectBuilder::new()
            .description(Some("The YAML at the head of its `README.md`: what its maker says, unchecked."));
        for name in ["model_name", "license", "license_name", "license_link"] {
            card = card.property(name, text(""));
        }
        for name in ["base_model_relation", "pipeline_tag", "library_name"] {
            card = card.property(name, text(""));
        }
        for name in ["language", "tags", "base_model", "datasets", "metrics"] {
            card = card.property(name, list(""));
        }
        let files = ArrayBuilder::new()
            .items(model_file)
            .description(Some("The headers of its safetensors and GGUF files; absent if it has none."));
        let unread_files = ArrayBuilder::new()
            .items(unread_file)
            .description(Some("Those files whose header is not understood, or damaged; absent if it has none."));
        ObjectBuilder::new()
            .description(Some("What an artifact says of itself."))
            .property("model_files", files)
            .property("unread_files", unread_files)
            .property("card", card)
            .property("card_fault", text("Why the card cannot be read."))
            .into()
    }
}
impl ToSchema for ContentsSchema {
    fn name() -> std::borrow::Cow<'static, str> {
        "Contents".into()
    }
}

/// File or collection.
pub(crate) struct KindSchema;

impl PartialSchema for KindSchema {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::String))
            .enum_values(Some(["file", "collection"]))
            .description(Some("What an artifact's address is of."));
        text.into()
    }
}
impl ToSchema for KindSchema {
    fn name() -> std::borrow::Cow<'static, str> {
        "ArtifactKind".into()
    }
}

/// What a tally comes to now, and what lacks.
pub(crate) struct OutlookSchema;

impl PartialSchema for OutlookSchema {
    fn schema() -> RefOr<Schema> {
        let record = ObjectBuilder::new()
            .description(Some("What a tally comes to now, and what is still needed for it to pass."))
            .property(
                "verdict",
                text("If ballots stopped now: `passed`, `no_quorum`, `not_enough_yes`, `vetoed` or `objected`."),
            )
            .required("verdict")
            .property("quorum_lacks", integer())
            .required("quorum_lacks")
            .property(
                "yes_lacks",
                ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::Integer, Type::Null])).description(Some(
                    "Weight that, if all of it said yes, would be just enough; null when too little is left.",
                )),
            );
        record.into()
    }
}
impl ToSchema for OutlookSchema {
    fn name() -> std::borrow::Cow<'static, str> {
        "Outlook".into()
    }
}

/// An object with one key out of several: how an enum of the protocol or of the API looks in JSON.
fn one_of(description: &str, variants: &[(&str, RefOr<Schema>)]) -> RefOr<Schema> {
    let one_of = variants.iter().fold(OneOfBuilder::new().description(Some(description)), |all, (name, schema)| {
        all.item(ObjectBuilder::new().property(*name, schema.clone()).required(*name))
    });
    one_of.into()
}

fn reference<T: ToSchema>() -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(T::name()))
}

fn define<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}

/// What a deed is on.
pub(crate) struct SubjectSchema;

impl PartialSchema for SubjectSchema {
    fn schema() -> RefOr<Schema> {
        one_of(
            "What a deed is on.",
            &[
                ("share", reference::<ShareSubject>()),
                ("version", reference::<VersionRefRecord>()),
                ("licence", reference::<ShareSubject>()),
                ("decision", Hex32::schema()),
                ("attestation", reference::<AttestationSubject>()),
            ],
        )
    }
}
impl ToSchema for SubjectSchema {
    fn name() -> std::borrow::Cow<'static, str> {
        "Subject".into()
    }
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        define::<ShareSubject>(schemas);
        define::<VersionRefRecord>(schemas);
        define::<AttestationSubject>(schemas);
    }
}

/// What a deed says.
pub(crate) struct FactsSchema;

impl PartialSchema for FactsSchema {
    fn schema() -> RefOr<Schema> {
        one_of(
            "What a deed says.",
            &[
                ("share", reference::<ShareFactsRecord>()),
                ("version", reference::<VersionFactsRecord>()),
                ("licence", reference::<LicenceFactsRecord>()),
                ("decision", reference::<DecisionFactsRecord>()),
                ("attestation", reference::<AttestationFactsRecord>()),
            ],
        )
    }
}
impl ToSchema for FactsSchema {
    fn name() -> std::borrow::Cow<'static, str> {
        "Facts".into()
    }
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        define::<ShareFactsRecord>(schemas);
        define::<VersionFactsRecord>(schemas);
        define::<LicenceFactsRecord>(schemas);
        define::<DecisionFactsRecord>(schemas);
        define::<AttestationFactsRecord>(schemas);
    }
}

impl PartialSchema for VerifyLine {
    fn schema() -> RefOr<Schema> {
        one_of(
            "One line of the answer to a verification; `verified` or `error` is the last.",
            &[
                ("progress", reference::<ProgressView>()),
                ("damaged", text("A fault, which is being mended.").into()),
                ("verified", reference::<ArtifactSchema>()),
                ("error", reference::<Problem>()),
            ],
        )
    }
}
impl ToSchema for VerifyLine {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        define::<ProgressView>(schemas);
        define::<ArtifactSchema>(schemas);
        define::<Problem>(schemas);
    }
}

impl PartialSchema for DryRunOutcome {
    fn schema() -> RefOr<Schema> {
        let events = ArrayBuilder::new().items(reference::<EventRecord>()).build();
        one_of(
            "What a proposal's actions would do: `done` with what would happen, or `refused` with the rule.",
            &[("done", events.into()), ("refused", reference::<RefusalView>())],
        )
    }
}
impl ToSchema for DryRunOutcome {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        define::<EventRecord>(schemas);
        define::<RefusalView>(schemas);
    }
}

/// Defines the schema of a record whose fields are those of its type in `protocol`.
macro_rules! records {
    ($($name:ident = $shown:literal: $description:literal, [$($field:literal),*];)*) => { $(
        #[doc = $description]
        pub(crate) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let record = ObjectBuilder::new()
                    .description(Some($description))
                    $(.property($field, anything()).required($field))*
                    .additional_properties(Some(AdditionalProperties::FreeForm(true)));
                record.into()
            }
        }
        impl ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                $shown.into()
            }
        }

        #[cfg(test)]
        impl $name {
            #[allow(dead_code, reason = "not every record is compared with its description")]
            pub(crate) const FIELDS: &'static [&'static str] = &[$($field),*];
        }
    )* };
}

/// A field of any JSON type: which one, the protocol's specification says.
fn anything() -> Object {
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).build()
}

records! {
    Record = "Record": "A record of the ledger in its JSON form; see the protocol's specification.", [];
    AccountRecord = "Account": "An account: its handle, its key policy, who admitted it.",
        ["id", "handle", "keys", "created", "sponsor", "member_since", "quota", "open_proposals",
         "open_disputes", "open_approvals", "open_calls", "recovery", "suspended", "unsettled"];
    ModelRecord = "Model": "A model: its name, its stewards, its policy.",
        ["id", "name", "description", "founder", "created", "stewards", "policy", "licence", "distribution",
         "released", "retired"];
    NetworkRecord = "Network": "The network's own record: its parameters, its counters, the upgrade decided last.",
        ["parameters", "members", "proposals", "open_proposals", "upgrade"];
    LicenseeRecord = "Licensee": "How an account stands to the licences that a model's owners granted it: `licence` is what it agreed to last (`grant`: `proposal`, `since`, `terms`, `expires`; `ended`: null, `given_up` or `revoked`), `offer` a grant that it has not answered.",
        ["model", "account", "licence", "offer", "changes"];
    LicenceChangeRecord = "LicenceChange": "What became of a licence: `step` is `granted`, `accepted`, `declined`, `given_up` or `revoked`.",
        ["number", "height", "step"];
    LicenceRequestRecord = "LicenceRequest": "That an account asks for a licence: on which terms, for how long, what for.",
        ["account", "model", "terms", "text", "asked", "expires"];
    PeerBindingRecord = "PeerBinding": "That a peer reads for an account.", ["peer", "account", "issued", "since"];
    VersionRecord = "Version": "A version of a model: its artifact, its lineage, whether it is released.",
        ["model", "label", "artifact", "parents", "training_plan", "datasets", "notes", "publisher", "published",
         "status", "suspended"];
    StandingRecord = "Standing": "What is the matter with a version and with what it was made from: `concerns`, each with `kind` (`disputed`, `deprecated`, `suspended`, `withdrawn`), `version`, `distance` (0 for itself), `reason`, `until`, `dispute`.",
        ["concerns", "partial"];
    ConcernRecord = "Concern": "One thing that is the matter with a version.",
        ["kind", "version", "distance", "reason", "until", "dispute"];
    StopRecord = "VersionStop": "An emergency stop of a version, and how it ended.",
        ["model", "number", "label", "account", "reason", "height", "until", "ended"];
    ShareRecord = "Share": "A line of a register: who holds how many units of which model.",
        ["model", "account", "units", "since"];
    ShareChangeRecord = "ShareChange": "A line of a register's history: what changed, when, why.",
        ["number", "height", "transaction", "account", "flow", "units", "balance", "reason"];
    ContributionRecord = "Contribution": "A contribution: what was given to a model, by whom, and who countersigned it.",
        ["id", "model", "round", "giver", "kind", "amount", "sealed", "evidence", "note", "recorded",
         "countersigned", "declined", "accepted"];
    ProposalRecord = "Proposal": "A proposal: its scope, its actions, the rule at its opening, its status.",
        ["id", "scope", "number", "proposer", "title", "text", "actions", "class", "rule", "gates", "guardian",
         "snapshot", "opened", "opened_at", "closes", "latest_close", "turned_at", "status", "suspended_vote"];
    TallyRecord = "Tally": "The sums of a proposal's ballots, in weight; how many answered.",
        ["yes", "no", "abstain", "veto", "delegated", "electorate", "whole", "asleep", "ballots", "opposed"];
    BallotRecord = "Ballot": "One account's answer to a proposal.",
        ["account", "parts", "weight", "delegated", "height"];
    RoundRecord = "Round": "A round of contributions: its plan, its sums, where it stands.",
        ["model", "number", "plan", "proposal", "opened", "records_until", "closes", "contributors", "score", "status",
         "countersigners", "seals", "score_under_seal", "minted", "reserve", "groups"];
    DisputeRecord = "Dispute": "A challenge of a line, a version or a contribution.",
        ["id", "model", "number", "target", "units", "challenger", "respondent", "claim", "answer", "answer_until", "panel",
         "rulings", "lapses", "terms", "bond", "appeal", "resolutions", "status"];
    IncidentRecord = "Incident": "What went wrong with a version, and how far that has come.",
        ["id", "model", "number", "label", "reporter", "text", "evidence", "reported", "responsible", "status",
         "updates", "named", "statements"];
    IncidentUpdateRecord = "IncidentUpdate": "One step of an incident's history.",
        ["account", "step", "text", "evidence", "height"];
    ApprovalRecord = "Approval": "A request that waits for signatures.",
        ["id", "account", "action", "keys", "against", "every_key", "opened", "expires"];
    VersionRefRecord = "VersionRef": "A version named across models.", ["model", "label"];
    DelegationRecord = "Delegation": "Whom an account delegated a model's questions to.",
        ["model", "from", "to", "expires", "since"];
    IssueRecord = "Issue": "Units that a decision minted and that holders may still take up.",
        ["model", "number", "proposal", "to", "units", "taken", "vesting", "reason", "as_of", "until"];
    SilenceRecord = "Silence": "An account that was called on and has not spoken.",
        ["scope", "account", "by", "called_at", "sleeps_at", "is_dormant"];
    AttestationRecord = "Attestation": "What one account says of one artifact; the last word counts.",
        ["artifact", "statement", "account", "finding", "evidence", "note", "height"];
    DryRunBody = "DryRunRequest": "A proposal to try out: `sender` (a handle or an id) would ask `proposal`, as an action `open_proposal` has it.",
        ["sender", "proposal"];
    HeaderRecord = "Header": "A block's header; its hash is the block's.",
        ["network", "height", "time", "proposer", "parent", "transactions_root", "state_root", "validators",
         "next_validators"];
    CertificateRecord = "CommitCertificate": "The precommits of more than two thirds of the voting power.",
        ["height", "round", "block", "signatures"];
    TransactionRecord = "Transaction": "A signed request to change the ledger: `body`, which names the keys that sign it, and the signature of each.",
        ["body", "signatures"];
    ResultRecord = "TransactionResult": "What became of a transaction: `applied`, or `rejected` with the rule.",
        ["id", "outcome", "events"];
    EventRecord = "Event": "One thing that a transaction or a deadline did: an object with one key, the event's name.",
        [];
    ShareSubject = "ShareSubject": "A model and an account.", ["model", "account"];
    AttestationSubject = "AttestationSubject": "An artifact, a statement and an account.",
        ["artifact", "statement", "account"];
    ShareFactsRecord = "ShareFacts": "What an account holds of a model, and what burdens it: grants under vesting, units that disputes freeze, units bound for its own challenges, keys that the owners have not accepted; an account that is suspended.",
        ["model", "register", "account", "units", "vesting", "frozen", "disputes", "challenger", "unaccepted"];
    VersionFactsRecord = "VersionFacts": "A version, and the disputes that freeze it.", ["model", "version", "disputes"];
    LicenceFactsRecord = "LicenceFacts": "How an account stands to a model's licences; null if it was never granted one.",
        ["model", "account", "licence"];
    DecisionFactsRecord = "DecisionFacts": "A proposal, its tally, and who asked.",
        ["model", "proposal", "tally", "proposer"];
    AttestationFactsRecord = "AttestationFacts": "What an account said of an artifact last; null if nothing.",
        ["account", "attestation"];
    ManifestFileRecord = "ManifestFile": "One file of a collection.", ["path", "size_bytes", "address", "sha256"];
    GenesisRecord = "Genesis": "The beginning of a network.", ["name", "time", "parameters", "accounts", "validators"];
}
