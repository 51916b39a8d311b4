//! Transactions: signed requests to change the ledger, each with one action, and everything that can be checked about
//! one without any state.

use crate::{
    ground::{
        codec,
        crypto::{self, Domain, SigningKey},
        ids::{AccountId, NetworkId, PublicKey, Signature, Timestamp, TransactionId},
        invalid::Invalid,
        limits,
    },
    rules::{action::Action, load},
};
use serde::{Deserialize, Serialize};

/// The part of a transaction that its keys sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TransactionBody {
    /// The network, so that a transaction is void on another.
    pub network: NetworkId,
    /// The account that asks.
    pub sender: AccountId,
    /// Random, so that the same request can be made twice.
    #[serde(deserialize_with = "crate::ground::ids::wide::deserialize")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::ground::openapi::Wide))]
    pub nonce: u64,
    /// Block time after which no block may apply it; at most [`limits::TRANSACTION_LIFETIME_MS`] ahead.
    pub expires: Timestamp,
    /// The request.
    pub action: Action,
    /// The keys that sign it, enough of the sender's to reach its threshold: 1 to [`limits::TRANSACTION_SIGNATURES`],
    /// each once; [`TransactionBody::sign`] fills them in. Each key signs the list of all signers, so nobody on the way
    /// can remove a signature and pass the rest on as what was asked.
    pub signers: Vec<PublicKey>,
}

impl TransactionBody {
    /// The bytes that each key signs in [`Domain::Transaction`].
    pub fn signing_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// The transaction's id: the hash of the signing bytes, and so of the request and of the keys that make it.
    pub fn id(&self) -> TransactionId {
        TransactionId::from_bytes(crypto::hash(Domain::Transaction, &self.signing_bytes()))
    }

    /// Sets the keys as the signers, and signs with each of them.
    pub fn sign(mut self, keys: &[SigningKey]) -> Transaction {
        self.signers = keys.iter().map(SigningKey::public_key).collect();
        let bytes = self.signing_bytes();
        let signatures = keys.iter().map(|key| key.sign(Domain::Transaction, &bytes)).collect();
        Transaction { body: self, signatures }
    }
}

/// A signed request to change the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Transaction {
    /// The request, and the keys that sign it.
    pub body: TransactionBody,
    /// The signature of each of the body's signers, in their order.
    pub signatures: Vec<Signature>,
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

    /// Reads a transaction from a stranger; [`Transaction::check_form`] and [`Transaction::check_signatures`] come
    /// next.
    ///
    /// # Errors
    /// When the bytes are not exactly one transaction.
    pub fn decode(bytes: &[u8]) -> Result<Self, Invalid> {
        if bytes.len() > limits::TRANSACTION_SIZE_BYTES {
            return Err(Invalid::TooLarge(bytes.len()));
        }
        Ok(codec::decode(bytes, limits::TRANSACTION_SIZE_BYTES)?)
    }

    /// Checks every rule that needs neither state nor cryptography.
    ///
    /// # Errors
    /// The first rule that is broken.
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
        let weight = load::of(self);
        if weight > limits::SENDER_WEIGHT { Err(Invalid::TooHeavy(weight)) } else { Ok(()) }
    }

    /// Checks that every signature is its signer's over the signing bytes, after [`Transaction::check_form`] has
    /// counted them. Whether the signers belong to the sender, and are enough, depends on the state:
    /// [`crate::rules::account::Account::authorises`].
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
