//! Transactions: signed requests to change the ledger, each with one action, and what can be said of one without
//! any state.

use crate::{
    access::{BindPeer, ReleasePeer},
    account::{CreateAccount, RotateKeys},
    approval::{Approvable, OfApproval, RequestApproval, SignApproval},
    attestation::Attest,
    codec,
    commitment::CommitArtifact,
    contribution::{AcceptContribution, DeclineContribution, RecordContribution, RevealContribution},
    crypto::{self, Domain, SigningKey},
    delegation::Delegate,
    dispute::{AnswerDispute, AppealDispute, DisputeTarget, OpenDispute, RuleDispute, WithdrawDispute},
    dormancy::{CallOn, Present},
    emergency::StopVersion,
    ids::{AccountId, NetworkId, PublicKey, Signature, Timestamp, TransactionId},
    incident::{AnswerIncident, ReportIncident, UpdateIncident},
    intake::SetIntake,
    licence::{AnswerLicence, AskLicence},
    limits,
    model::{CreateModel, PublishVersion},
    network::LeaveNetwork,
    office::{AcceptOffice, ResignOffice},
    proposal::{CancelProposal, CastBallot, ExecuteProposal, OpenProposal, WithdrawProposal},
    recovery::{CancelRecovery, RecoverAccount, SetRecovery},
    sale::AcceptTransfer,
    share::{BurnShares, GiveConsent, TakeUp, TransferShares},
    weight::{self, Weight},
};
use serde::{Deserialize, Serialize};

/// What a transaction asks for. The rules of each are in the module that its type lives in.
///
/// The parameters are what stands in the two places about approvals: in a transaction, the actions themselves; in a
/// request that waits for approval, [`crate::approval::Never`], so that none can hold another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "founding a model is rare, and a box would show wherever one is made")]
pub enum Action<Request = RequestApproval, Sign = SignApproval> {
    /// Admit a new account, the sender being its sponsor.
    CreateAccount(CreateAccount),
    /// Replace the sender's keys.
    RotateKeys(RotateKeys),
    /// Found a model in the sender's namespace.
    CreateModel(CreateModel),
    /// Record an artifact as a version of a model.
    PublishVersion(PublishVersion),
    /// Record what the sender gave to a model.
    RecordContribution(RecordContribution),
    /// Countersign a contribution, as a steward.
    AcceptContribution(AcceptContribution),
    /// Give shares to another account.
    TransferShares(TransferShares),
    /// Put a question to the owners of a model, or to the members of the network.
    OpenProposal(OpenProposal),
    /// Answer a question, or change the answer.
    CastBallot(CastBallot),
    /// Take back a proposal that is still open.
    WithdrawProposal(WithdrawProposal),
    /// Execute a decision whose timelock is over, once nothing is missing.
    ExecuteProposal(ExecuteProposal),
    /// Stop a proposal, as its guardian.
    CancelProposal(CancelProposal),
    /// Let another account answer a model's questions.
    Delegate(Delegate),
    /// Give up shares.
    BurnShares(BurnShares),
    /// Say whether an artifact stood a test.
    Attest(Attest),
    /// Tell the amount of a sealed contribution.
    RevealContribution(RevealContribution),
    /// Challenge a line, a version or a contribution.
    OpenDispute(OpenDispute),
    /// Answer a challenge.
    AnswerDispute(AnswerDispute),
    /// Rule on a challenge.
    RuleDispute(RuleDispute),
    /// Report what went wrong with a version.
    ReportIncident(ReportIncident),
    /// Carry an incident on.
    UpdateIncident(UpdateIncident),
    /// Name the sender's guardians.
    SetRecovery(SetRecovery),
    /// Say which keys an account should get, as one of its guardians.
    RecoverAccount(RecoverAccount),
    /// Object to a recovery of the sender, or stop it.
    CancelRecovery(CancelRecovery),
    /// Put a request that other keys of the sender are to sign.
    RequestApproval(Request),
    /// Sign a request that waits, or be against it.
    SignApproval(Sign),
    /// Bind a peer to the sender: it reads what the sender may read.
    BindPeer(BindPeer),
    /// Let go of a peer of the sender.
    ReleasePeer(ReleasePeer),
    /// Call on an account that is silent, to speak or to leave the count.
    CallOn(CallOn),
    /// Say that the sender, who was called on, is there.
    Present(Present),
    /// Be a member of the network no longer.
    LeaveNetwork(LeaveNetwork),
    /// Accept an office, offered or to come.
    AcceptOffice(AcceptOffice),
    /// Decline an office, or give it back.
    ResignOffice(ResignOffice),
    /// Say whether the sender takes units that it did not ask for.
    SetIntake(SetIntake),
    /// Accept the units that a proposal would give the sender.
    AcceptTransfer(AcceptTransfer),
    /// Take up units that a decision minted, to keep one's part.
    TakeUp(TakeUp),
    /// Agree to a decision that takes units of the sender, or take that back.
    GiveConsent(GiveConsent),
    /// Suspend a version at once, or take that back.
    StopVersion(StopVersion),
    /// Decline to countersign a contribution, as a steward.
    DeclineContribution(DeclineContribution),
    /// Take a challenge back.
    WithdrawDispute(WithdrawDispute),
    /// Take a ruling to the owners.
    AppealDispute(AppealDispute),
    /// Speak to an incident, as who reported it or who was named.
    AnswerIncident(AnswerIncident),
    /// Commit to an artifact before anybody hears its address.
    CommitArtifact(CommitArtifact),
    /// Ask a model's owners for a licence, or ask no longer.
    AskLicence(AskLicence),
    /// Agree to a licence, or do without it.
    AnswerLicence(AnswerLicence),
}

impl<Request, Sign> Action<Request, Sign> {
    /// The action's name, as in JSON and in metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::CreateAccount(_) => "create_account",
            Self::RotateKeys(_) => "rotate_keys",
            Self::CreateModel(_) => "create_model",
            Self::PublishVersion(_) => "publish_version",
            Self::CommitArtifact(_) => "commit_artifact",
            Self::RecordContribution(_) => "record_contribution",
            Self::AcceptContribution(_) => "accept_contribution",
            Self::TransferShares(_) => "transfer_shares",
            Self::OpenProposal(_) => "open_proposal",
            Self::CastBallot(_) => "cast_ballot",
            Self::WithdrawProposal(_) => "withdraw_proposal",
            Self::ExecuteProposal(_) => "execute_proposal",
            Self::CancelProposal(_) => "cancel_proposal",
            Self::Delegate(_) => "delegate",
            Self::BurnShares(_) => "burn_shares",
            Self::Attest(_) => "attest",
            Self::RevealContribution(_) => "reveal_contribution",
            Self::OpenDispute(_) => "open_dispute",
            Self::AnswerDispute(_) => "answer_dispute",
            Self::RuleDispute(_) => "rule_dispute",
            Self::ReportIncident(_) => "report_incident",
            Self::UpdateIncident(_) => "update_incident",
            Self::SetRecovery(_) => "set_recovery",
            Self::RecoverAccount(_) => "recover_account",
            Self::CancelRecovery(_) => "cancel_recovery",
            Self::RequestApproval(_) => "request_approval",
            Self::SignApproval(_) => "sign_approval",
            Self::BindPeer(_) => "bind_peer",
            Self::ReleasePeer(_) => "release_peer",
            Self::CallOn(_) => "call_on",
            Self::Present(_) => "present",
            Self::LeaveNetwork(_) => "leave_network",
            Self::AcceptOffice(_) => "accept_office",
            Self::ResignOffice(_) => "resign_office",
            Self::SetIntake(_) => "set_intake",
            Self::AcceptTransfer(_) => "accept_transfer",
            Self::TakeUp(_) => "take_up",
            Self::GiveConsent(_) => "give_consent",
            Self::AskLicence(_) => "ask_licence",
            Self::AnswerLicence(_) => "answer_licence",
            Self::StopVersion(_) => "stop_version",
            Self::DeclineContribution(_) => "decline_contribution",
            Self::WithdrawDispute(_) => "withdraw_dispute",
            Self::AppealDispute(_) => "appeal_dispute",
            Self::AnswerIncident(_) => "answer_incident",
        }
    }

    /// Whether it gathers approvals, which any one key of an account may do.
    pub const fn is_of_approval(&self) -> bool {
        matches!(self, Self::RequestApproval(_) | Self::SignApproval(_))
    }

    /// Whether it is about the account's own keys, and so for all of its settled keys to ask for, whatever the present
    /// ones are.
    pub const fn is_of_keys(&self) -> bool {
        matches!(self, Self::RotateKeys(_) | Self::SetRecovery(_) | Self::CancelRecovery(_))
    }

    /// Whether a suspended account may ask for it: suspension keeps it from starting things, and takes nothing from it. It
    /// votes, keeps its keys and those whom it looks after, and answers and completes what would be lost by waiting.
    /// What it asks several of its own keys for is judged when it is put and when it is carried out.
    pub const fn is_open_to_suspended(&self) -> bool {
        matches!(
            self,
            Self::CastBallot(_)
                | Self::Delegate(_)
                | Self::TakeUp(_)
                | Self::GiveConsent(_)
                | Self::AnswerDispute(_)
                | Self::WithdrawDispute(_)
                | Self::AppealDispute(_)
                | Self::AnswerIncident(_)
                | Self::OpenDispute(OpenDispute { target: DisputeTarget::Appeal(_), .. })
                | Self::RevealContribution(_)
                | Self::RotateKeys(_)
                | Self::CancelRecovery(_)
                | Self::RecoverAccount(_)
                | Self::RequestApproval(_)
                | Self::SignApproval(_)
                | Self::Present(_)
                | Self::LeaveNetwork(_)
                | Self::ResignOffice(_)
        )
    }

    /// Every rule of form.
    pub(crate) fn check(&self) -> Result<(), Invalid>
    where
        Request: OfApproval,
        Sign: OfApproval,
    {
        match self {
            Self::CreateAccount(action) => action.check(),
            Self::RotateKeys(action) => action.check(),
            Self::CreateModel(action) => action.check(),
            Self::PublishVersion(action) => action.check(),
            Self::RecordContribution(action) => action.check(),
            Self::RevealContribution(action) => action.check(),
            Self::DeclineContribution(action) => action.check(),
            Self::TransferShares(action) => action.check(),
            Self::TakeUp(action) => action.check(),
            Self::BurnShares(action) => action.check(),
            Self::OpenProposal(action) => action.check(),
            Self::CastBallot(action) => action.check(),
            Self::WithdrawProposal(action) => action.check(),
            Self::CancelProposal(action) => action.check(),
            Self::Delegate(action) => action.check(),
            Self::Attest(action) => action.check(),
            Self::OpenDispute(action) => action.check(),
            Self::AnswerDispute(action) => action.check(),
            Self::RuleDispute(action) => action.check(),
            Self::AppealDispute(action) => action.check(),
            Self::ReportIncident(action) => action.check(),
            Self::UpdateIncident(action) => action.check(),
            Self::SetRecovery(action) => action.check(),
            Self::RecoverAccount(action) => action.check(),
            Self::RequestApproval(action) => action.check(),
            Self::SignApproval(action) => action.check(),
            Self::StopVersion(action) => action.check(),
            Self::AnswerIncident(action) => action.check(),
            Self::AskLicence(action) => action.check(),
            Self::CommitArtifact(_)
            | Self::AcceptContribution(_)
            | Self::ExecuteProposal(_)
            | Self::WithdrawDispute(_)
            | Self::CancelRecovery(_)
            | Self::BindPeer(_)
            | Self::ReleasePeer(_)
            | Self::CallOn(_)
            | Self::GiveConsent(_)
            | Self::AnswerLicence(_)
            | Self::Present(_)
            | Self::LeaveNetwork(_)
            | Self::AcceptOffice(_)
            | Self::ResignOffice(_)
            | Self::SetIntake(_)
            | Self::AcceptTransfer(_) => Ok(()),
        }
    }
}

impl Action {
    /// The same action, to be put as a request that waits for approval.
    ///
    /// # Errors
    /// When it is itself about approvals.
    pub fn for_approval(&self) -> Result<Approvable, Invalid> {
        // The two types share their bytes, but for what the other one cannot hold.
        Ok(codec::decode(&codec::encode(self), limits::TRANSACTION_SIZE_BYTES)?)
    }
}

/// What the sender signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionBody {
    /// The network, so that a transaction means nothing on another.
    pub network: NetworkId,
    /// The account that asks.
    pub sender: AccountId,
    /// Random, so that the same request can be made twice.
    #[serde(deserialize_with = "crate::ids::wide::deserialize")]
    pub nonce: u64,
    /// Block time after which no block may apply it; at most [`limits::TRANSACTION_LIFETIME_MS`] ahead.
    pub expires: Timestamp,
    /// The request.
    pub action: Action,
    /// The keys that sign it, enough of the sender's to reach its threshold: 1 to [`limits::TRANSACTION_SIGNATURES`],
    /// each once; [`TransactionBody::sign`] fills them in. Each key signs who signs with it, so that nobody on the way
    /// can take a signature off and pass on what is left as what was asked.
    pub signers: Vec<PublicKey>,
}

impl TransactionBody {
    /// The bytes that each key signs in [`Domain::Transaction`].
    pub fn signing_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// The transaction's id: the hash of the signing bytes, and so of what is asked and of the keys that ask it.
    pub fn id(&self) -> TransactionId {
        TransactionId::from_bytes(crypto::hash(Domain::Transaction, &self.signing_bytes()))
    }

    /// Names the keys as the signers, and signs with each of them.
    pub fn sign(mut self, keys: &[SigningKey]) -> Transaction {
        self.signers = keys.iter().map(SigningKey::public_key).collect();
        let bytes = self.signing_bytes();
        let signatures = keys.iter().map(|key| key.sign(Domain::Transaction, &bytes)).collect();
        Transaction { body: self, signatures }
    }
}

/// A signed request to change the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// What is asked, and which keys sign it.
    pub body: TransactionBody,
    /// The signature of each of the body's signers, in their order.
    pub signatures: Vec<Signature>,
}

/// Why no state could make a transaction valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Not a transaction.
    #[error("not a transaction: {0}")]
    Malformed(#[from] codec::DecodeError),
    /// Too many bytes.
    #[error("the transaction has {0} bytes; at most {max} are allowed", max = limits::TRANSACTION_SIZE_BYTES)]
    TooLarge(usize),
    /// Made for another network.
    #[error("the transaction is for network {found}; this is network {expected}")]
    Network {
        /// The network it names.
        found: NetworkId,
        /// The network of this peer.
        expected: NetworkId,
    },
    /// No signer at all, or more than an account can have keys.
    #[error("the transaction names {0} signers; 1 to {max} are allowed", max = limits::TRANSACTION_SIGNATURES)]
    SignerCount(usize),
    /// Not one signature for each signer.
    #[error(
        "the transaction names {signers} signers and carries {signatures} signatures; it needs the signature of each \
         signer, in their order, and no other"
    )]
    SignatureCount {
        /// The keys it names.
        signers: usize,
        /// The signatures it carries.
        signatures: usize,
    },
    /// A key twice.
    #[error("key {0} signs the transaction twice")]
    RepeatedKey(PublicKey),
    /// A signature that does not verify.
    #[error("the signature of key {0} does not verify: sign the transaction's exact bytes with that key")]
    Signature(PublicKey),
    /// Too much work for every peer.
    #[error(
        "the transaction weighs {0}, more than the {max} that one sender has in a block; ask for less at a time",
        max = limits::SENDER_WEIGHT
    )]
    TooHeavy(Weight),
    /// An action that breaks a rule of form.
    #[error("{field}: {problem}")]
    Form {
        /// Which field of the action.
        field: &'static str,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
}

impl Invalid {
    /// A stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::TooLarge(_) => "too_large",
            Self::TooHeavy(_) => "too_heavy",
            Self::Network { .. } => "wrong_network",
            Self::SignerCount(_) => "signer_count",
            Self::SignatureCount { .. } => "signature_count",
            Self::RepeatedKey(_) => "repeated_key",
            Self::Signature(_) => "bad_signature",
            Self::Form { .. } => "bad_form",
        }
    }
}

/// Refuses what [`check_text`] refuses, and line breaks and tabs: for what is shown on a line of its own, where what
/// follows a break would pass for somebody else's words.
pub(crate) fn check_line(field: &'static str, text: &str, max_bytes: usize) -> Result<(), Invalid> {
    check_text(field, text, max_bytes)?;
    if text.contains(['\n', '\t']) {
        return Err(Invalid::Form { field, problem: "holds a line break or a tab; write it in one line".into() });
    }
    Ok(())
}

/// Whether a character shows as nothing, or changes how its neighbours are read: a text that holds one can look like
/// another text. Those of the Unicode properties `Bidi_Control` and `Default_Ignorable_Code_Point` (Unicode 16) but for
/// joiners and variation selectors, which scripts and emoji need, and for the soft hyphen.
const fn is_deceptive(c: char) -> bool {
    matches!(
        c,
        '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}' | '\u{200b}'
            | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Refuses a text of more than `max_bytes`, or with characters that a reader does not see as what they are: control
/// characters other than line breaks and tabs, and those that show as nothing or turn the direction of writing.
pub(crate) fn check_text(field: &'static str, text: &str, max_bytes: usize) -> Result<(), Invalid> {
    if text.len() > max_bytes {
        return Err(Invalid::Form { field, problem: format!("{} bytes; at most {max_bytes} are allowed", text.len()) });
    }
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err(Invalid::Form { field, problem: "holds control characters; remove them".into() });
    }
    if let Some(c) = text.chars().find(|c| is_deceptive(*c)) {
        let problem = format!("holds the invisible character U+{:04X}; remove it", u32::from(c));
        return Err(Invalid::Form { field, problem });
    }
    Ok(())
}

/// Refuses a text that says nothing. `problem` says what to do instead.
pub(crate) fn check_said(field: &'static str, text: &str, problem: &str) -> Result<(), Invalid> {
    if text.trim().is_empty() {
        return Err(Invalid::Form { field, problem: problem.into() });
    }
    Ok(())
}

/// Refuses a list of more than `max` entries.
pub(crate) fn check_count(field: &'static str, count: usize, max: usize) -> Result<(), Invalid> {
    if count > max {
        return Err(Invalid::Form { field, problem: format!("{count} entries; at most {max} are allowed") });
    }
    Ok(())
}

impl Transaction {
    /// The id: that of the body.
    pub fn id(&self) -> TransactionId {
        self.body.id()
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads a transaction that a stranger sent; [`Transaction::check_form`] and
    /// [`Transaction::check_signatures`] come next.
    ///
    /// # Errors
    /// When the bytes are not exactly one transaction.
    pub fn decode(bytes: &[u8]) -> Result<Self, Invalid> {
        if bytes.len() > limits::TRANSACTION_SIZE_BYTES {
            return Err(Invalid::TooLarge(bytes.len()));
        }
        Ok(codec::decode(bytes, limits::TRANSACTION_SIZE_BYTES)?)
    }

    /// Every rule that needs neither state nor cryptography.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn check_form(&self, network: NetworkId) -> Result<(), Invalid> {
        let size = self.encode().len();
        if size > limits::TRANSACTION_SIZE_BYTES {
            return Err(Invalid::TooLarge(size));
        }
        if self.body.network != network {
            return Err(Invalid::Network { found: self.body.network, expected: network });
        }
        let (signers, signatures) = (self.body.signers.len(), self.signatures.len());
        if !(1..=limits::TRANSACTION_SIGNATURES).contains(&signers) {
            return Err(Invalid::SignerCount(signers));
        }
        if signers != signatures {
            return Err(Invalid::SignatureCount { signers, signatures });
        }
        let mut keys = std::collections::BTreeSet::new();
        if let Some(repeated) = self.body.signers.iter().find(|key| !keys.insert(**key)) {
            return Err(Invalid::RepeatedKey(*repeated));
        }
        self.body.action.check()?;
        let weight = weight::of(self);
        if weight > limits::SENDER_WEIGHT { Err(Invalid::TooHeavy(weight)) } else { Ok(()) }
    }

    /// That every signature is its signer's over the signing bytes, once [`Transaction::check_form`] has counted them.
    /// Whether the signers are the sender's, and enough of them, is a question to the state: [`crate::account::Account::authorises`].
    ///
    /// # Errors
    /// The first signature that does not verify.
    pub fn check_signatures(&self) -> Result<(), Invalid> {
        let bytes = self.body.signing_bytes();
        for (key, signature) in self.body.signers.iter().zip(&self.signatures) {
            if !key.verifies(Domain::Transaction, &bytes, signature) {
                return Err(Invalid::Signature(*key));
            }
        }
        Ok(())
    }
}
