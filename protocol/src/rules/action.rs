//! The closed list of what a transaction can ask for, and where each action is carried out.

use crate::{
    ground::{codec, ids::PublicKey, invalid::Invalid, limits, state::Overlay},
    rules::{
        access::{BindPeer, ReleasePeer},
        account::{Account, CreateAccount, RotateKeys},
        approval::{Approvable, OfApproval, RequestApproval, SignApproval},
        attestation::Attest,
        commitment::CommitArtifact,
        context::Context,
        contribution::{AcceptContribution, DeclineContribution, RecordContribution, RevealContribution},
        delegation::Delegate,
        dispute::{AnswerDispute, AppealDispute, DisputeTarget, OpenDispute, RuleDispute, WithdrawDispute},
        dormancy::{self, CallOn, Present},
        emergency::StopVersion,
        event::Event,
        incident::{AnswerIncident, ReportIncident, UpdateIncident},
        intake::SetIntake,
        licence::{AnswerLicence, AskLicence},
        model::{CreateModel, PublishVersion},
        network::{self, LeaveNetwork},
        office::{AcceptOffice, ResignOffice},
        proposal::{CancelProposal, CastBallot, ExecuteProposal, OpenProposal, WithdrawProposal},
        recovery::{CancelRecovery, RecoverAccount, SetRecovery},
        rejection::Rejection,
        sale::AcceptTransfer,
        share::{BurnShares, GiveConsent, TakeUp, TransferShares},
    },
};
use serde::{Deserialize, Serialize};

/// What a transaction asks for. The rules of each action are in the module of its type.
///
/// The parameters are the types in the two places about approvals: in a transaction, the actions themselves; in a
/// request that waits for approval, [`crate::rules::approval::Never`], so that none can contain another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[cfg_attr(test, derive(strum::VariantNames))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "founding a model is rare, and a box would show wherever one is made")]
pub enum Action<Request = RequestApproval, Sign = SignApproval> {
    /// Admit a new account, sponsored by the sender.
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
    /// Withdraw a proposal that is still open.
    WithdrawProposal(WithdrawProposal),
    /// Execute a decision whose timelock is over, once nothing is missing.
    ExecuteProposal(ExecuteProposal),
    /// Stop a proposal, as its guardian.
    CancelProposal(CancelProposal),
    /// Let another account answer a model's questions.
    Delegate(Delegate),
    /// Give up shares.
    BurnShares(BurnShares),
    /// Say whether an artifact passed a test.
    Attest(Attest),
    /// Reveal the amount of a sealed contribution.
    RevealContribution(RevealContribution),
    /// Challenge a line, a version or a contribution.
    OpenDispute(OpenDispute),
    /// Answer a challenge.
    AnswerDispute(AnswerDispute),
    /// Rule on a challenge.
    RuleDispute(RuleDispute),
    /// Report what went wrong with a version.
    ReportIncident(ReportIncident),
    /// Update an incident.
    UpdateIncident(UpdateIncident),
    /// Name the sender's guardians.
    SetRecovery(SetRecovery),
    /// Say which keys an account should get, as one of its guardians.
    RecoverAccount(RecoverAccount),
    /// Object to a recovery of the sender, or stop it.
    CancelRecovery(CancelRecovery),
    /// Make a request that other keys of the sender are to sign.
    RequestApproval(Request),
    /// Sign a waiting request, or oppose it.
    SignApproval(Sign),
    /// Bind a peer to the sender: it reads what the sender may read.
    BindPeer(BindPeer),
    /// Release a peer of the sender.
    ReleasePeer(ReleasePeer),
    /// Call on a silent account, which must speak or no longer counts.
    CallOn(CallOn),
    /// Say that the sender, which was called on, is there.
    Present(Present),
    /// Leave the network's members.
    LeaveNetwork(LeaveNetwork),
    /// Accept an office that was offered, or will be.
    AcceptOffice(AcceptOffice),
    /// Decline or resign an office.
    ResignOffice(ResignOffice),
    /// Say whether the sender takes units that it did not ask for.
    SetIntake(SetIntake),
    /// Accept the units that a proposal would give the sender.
    AcceptTransfer(AcceptTransfer),
    /// Take up units that a decision minted, to keep the sender's part.
    TakeUp(TakeUp),
    /// Consent to a decision that takes units of the sender, or withdraw the consent.
    GiveConsent(GiveConsent),
    /// Suspend a version at once, or withdraw such a stop.
    StopVersion(StopVersion),
    /// Decline to countersign a contribution, as a steward.
    DeclineContribution(DeclineContribution),
    /// Withdraw a challenge.
    WithdrawDispute(WithdrawDispute),
    /// Take a ruling to the owners.
    AppealDispute(AppealDispute),
    /// Comment on an incident, as its reporter or as an account that was named.
    AnswerIncident(AnswerIncident),
    /// Commit to an artifact before anybody learns its address.
    CommitArtifact(CommitArtifact),
    /// Ask a model's owners for a licence, or withdraw the request.
    AskLicence(AskLicence),
    /// Agree to a licence, decline it, or give it up.
    AnswerLicence(AnswerLicence),
}

impl<Request, Sign> Action<Request, Sign> {
    /// The action's name, as in JSON and in metrics.
    pub fn name(&self) -> &'static str {
        self.into()
    }

    /// Whether it collects approvals, which any one key of an account may do.
    pub const fn is_of_approval(&self) -> bool {
        matches!(self, Self::RequestApproval(_) | Self::SignApproval(_))
    }

    /// Whether it is about the account's own keys, so that all of its settled keys may ask for it, whatever the current
    /// ones are.
    pub const fn is_of_keys(&self) -> bool {
        matches!(self, Self::RotateKeys(_) | Self::SetRecovery(_) | Self::CancelRecovery(_))
    }

    /// Whether a suspended account may ask for it. Suspension keeps it from starting things, but takes nothing from it:
    /// it votes, keeps its keys and guards those of others, and answers and completes what would be lost by waiting.
    /// What it asks several of its own keys for is judged both when the request is made and when it is executed.
    pub const fn is_open_to_suspended(&self) -> bool {
        match self {
            Self::CastBallot(_)
            | Self::Delegate(_)
            | Self::TakeUp(_)
            | Self::GiveConsent(_)
            | Self::AnswerDispute(_)
            | Self::WithdrawDispute(_)
            | Self::AppealDispute(_)
            | Self::AnswerIncident(_)
            | Self::RevealContribution(_)
            | Self::RotateKeys(_)
            | Self::CancelRecovery(_)
            | Self::RecoverAccount(_)
            | Self::RequestApproval(_)
            | Self::SignApproval(_)
            | Self::Present(_)
            | Self::LeaveNetwork(_)
            | Self::ResignOffice(_) => true,
            Self::OpenDispute(dispute) => matches!(dispute.target, DisputeTarget::Appeal(_)),
            Self::CreateAccount(_)
            | Self::CreateModel(_)
            | Self::PublishVersion(_)
            | Self::CommitArtifact(_)
            | Self::RecordContribution(_)
            | Self::AcceptContribution(_)
            | Self::TransferShares(_)
            | Self::OpenProposal(_)
            | Self::WithdrawProposal(_)
            | Self::ExecuteProposal(_)
            | Self::CancelProposal(_)
            | Self::BurnShares(_)
            | Self::Attest(_)
            | Self::RuleDispute(_)
            | Self::ReportIncident(_)
            | Self::UpdateIncident(_)
            | Self::SetRecovery(_)
            | Self::BindPeer(_)
            | Self::ReleasePeer(_)
            | Self::CallOn(_)
            | Self::AcceptOffice(_)
            | Self::SetIntake(_)
            | Self::AcceptTransfer(_)
            | Self::AskLicence(_)
            | Self::AnswerLicence(_)
            | Self::StopVersion(_)
            | Self::DeclineContribution(_) => false,
        }
    }

    /// Checks every rule of form.
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
    /// The same action, to be made a request that waits for approval.
    ///
    /// # Errors
    /// When it is itself about approvals.
    pub fn for_approval(&self) -> Result<Approvable, Invalid> {
        // The two types have the same encoding, except for what the other one cannot contain.
        Ok(codec::decode(&codec::encode(self), limits::TRANSACTION_SIZE_BYTES)?)
    }
}

/// Does what an account asks for, once that is verified, and records the account's activity.
pub(crate) fn apply<Request: OfApproval, Sign: OfApproval>(
    state: &mut Overlay<'_>,
    context: &mut Context,
    sender: Account,
    action: &Action<Request, Sign>,
    signers: &[PublicKey],
) -> Result<Vec<Event>, Rejection> {
    let account = sender.id;
    let mut events = dispatch(state, context, sender, action, signers)?;
    if let Some(scope) = dormancy::spoken_in(state, action) {
        events.extend(dormancy::heard(state, context, scope, account));
    }
    Ok(events)
}

fn dispatch<Request: OfApproval, Sign: OfApproval>(
    state: &mut Overlay<'_>,
    context: &mut Context,
    sender: Account,
    action: &Action<Request, Sign>,
    signers: &[PublicKey],
) -> Result<Vec<Event>, Rejection> {
    match action {
        Action::CreateAccount(action) => action.apply(state, context, sender),
        Action::RotateKeys(action) => action.apply(state, context, sender, signers),
        Action::CreateModel(action) => action.apply(state, context, &sender),
        Action::PublishVersion(action) => action.apply(state, context, sender.id),
        Action::CommitArtifact(action) => action.apply(state, context, sender.id),
        Action::RecordContribution(action) => action.apply(state, context, sender.id),
        Action::AcceptContribution(action) => action.apply(state, context, sender.id),
        Action::DeclineContribution(action) => action.apply(state, context, sender.id),
        Action::TransferShares(action) => action.apply(state, context, sender.id),
        Action::BurnShares(action) => action.apply(state, context, sender.id),
        Action::TakeUp(action) => action.apply(state, context, sender.id),
        Action::GiveConsent(action) => action.apply(state, context, sender.id),
        Action::AskLicence(action) => action.apply(state, context, sender.id),
        Action::AnswerLicence(action) => action.apply(state, context, sender.id),
        Action::Delegate(action) => action.apply(state, context, &sender),
        Action::Attest(action) => action.apply(state, context, sender.id),
        Action::RevealContribution(action) => action.apply(state, context, sender.id),
        Action::OpenDispute(action) => action.apply(state, context, sender),
        Action::AnswerDispute(action) => action.apply(state, context, sender.id),
        Action::RuleDispute(action) => action.apply(state, context, sender.id),
        Action::WithdrawDispute(action) => action.apply(state, context, sender.id),
        Action::AppealDispute(action) => action.apply(state, context, sender.id),
        Action::ReportIncident(action) => action.apply(state, context, sender.id),
        Action::UpdateIncident(action) => action.apply(state, context, sender.id),
        Action::SetRecovery(action) => action.apply(state, context, sender, signers),
        Action::RecoverAccount(action) => action.apply(state, context, sender.id),
        Action::CancelRecovery(_) => CancelRecovery::apply(state, context, sender, signers),
        Action::RequestApproval(action) => action.apply(state, context, sender, signers),
        Action::SignApproval(action) => action.apply(state, context, sender, signers),
        Action::BindPeer(action) => action.apply(state, context, sender.id),
        Action::ReleasePeer(action) => action.apply(state, context, sender.id),
        Action::AcceptOffice(action) => action.apply(state, context, sender.id),
        Action::ResignOffice(action) => action.apply(state, context, &sender),
        Action::SetIntake(action) => action.apply(state, sender.id),
        Action::AcceptTransfer(action) => action.apply(state, context, sender.id),
        Action::StopVersion(action) => action.apply(state, context, sender.id),
        Action::OpenProposal(action) => action.apply(state, context, sender),
        Action::CastBallot(action) => action.apply(state, context, &sender),
        Action::WithdrawProposal(action) => action.apply(state, context, sender.id),
        Action::ExecuteProposal(action) => action.apply(state, context),
        Action::CancelProposal(action) => action.apply(state, context, sender.id),
        Action::CallOn(action) => action.apply(state, context, sender),
        Action::Present(action) => action.apply(state, context, sender.id),
        Action::LeaveNetwork(_) => network::leave(state, context, sender),
        Action::AnswerIncident(action) => action.apply(state, context, sender.id),
    }
}
