//! What the command line takes, and that what people read fits their terminal.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failing test may panic")]

mod documents;

use super::*;
use axum::http::StatusCode;
use clap::CommandFactory as _;

/// An example of every command, as the documents give them. `ID` stands for 64 digits.
const EXAMPLES: &[&str] = &[
    "allod init --genesis genesis.json --peer /ip4/10.0.0.1/tcp/7641/p2p/12D3KooW --data /srv/allod",
    "allod run --data /srv/allod --api-address 127.0.0.1:7650 --listen /ip4/0.0.0.0/tcp/7651 --log-level debug",
    "allod config show --data /srv/allod",
    "allod token create training-server --permits submit --data /srv/allod",
    "allod token list",
    "allod token remove training-server",
    "allod token keep --api http://127.0.0.1:7640",
    "allod status --token-file /srv/allod/api.token",
    "allod init --genesis genesis.json --tls node.example --api-address 0.0.0.0:7640 --data /srv/allod",
    "allod run --tls-certificate /etc/allod/tls.crt --tls-key /etc/allod/tls.key --api-address 0.0.0.0:7640",
    "allod status --api https://node.example:7640 --ca-file tls.crt",
    "allod testnet init --nodes 4 --output net --base-port 7640 --voting-period 5s --genesis-time now",
    "allod key new northfield --encrypt",
    "allod key list --keys keys --json",
    "allod key show northfield",
    "allod account create northfield --sponsor operator-0 --new-key northfield",
    "allod account create bay --sponsor operator-0 --key a --key b --key ID --threshold 2 --weight a=2",
    "allod account show northfield",
    "allod account list",
    "allod account holdings northfield",
    "allod account rotate northfield --new-keys northfield-2",
    "allod model create digits --as northfield --holder northfield=600 --holder bay=400 --steward bay --description x",
    "allod model create digits --as a --holder a=1_000 --quorum 40 --threshold 66.67 --voting-period 5s --rule release=25,>50,1d",
    "allod model create digits --as a --holder a=1000 --grant northfield/digits=500",
    "allod model create digits --as a --holder a=1000 --template founder-led --spdx MIT --vesting 365d --cliff 90d",
    "allod model list",
    "allod policy templates",
    "allod policy explain northfield/digits",
    "allod policy explain --template founder-led",
    "allod policy explain --file rules.toml",
    "allod policy show northfield/digits --json",
    "allod model show northfield/digits",
    "allod model show northfield/digits@v1",
    "allod publish model/v1 --model northfield/digits --version v1 --as northfield --notes first",
    "allod publish weights --model bay/digits --version v3 --as bay --mode hard-link",
    "allod publish w.bin --model bay/digits --version v2 --as bay --parent northfield/digits@v1 --mode reference --dataset ID",
    "allod fetch northfield/digits@v1 -o digits",
    "allod fetch northfield/digits --provider 12D3KooW",
    "allod fetch bafkr4ictprppm22jihmmuz2q53nigkatthrg75bnkjtudpcwghxe4fl3ce --kind file",
    "allod contribute northfield/digits --as bay --kind data --amount 12_000 --evidence ID --note mnist",
    "allod contribute accept ID --as northfield",
    "allod contribute northfield/digits --round 0 --as bay --kind data --amount 12",
    "allod contribute decline ID --reason unread --as northfield",
    "allod contribute reveal ID --as bay",
    "allod contribute appeal ID --text t --evidence ID --as bay",
    "allod contribute reveal ID --amount 12 --salt ID --as bay",
    "allod contribute list northfield/digits",
    "allod contribute show ID",
    "allod shares show northfield/digits --at 12",
    "allod shares history northfield/digits",
    "allod shares transfer northfield/digits --as bay --to coast --units 100 --reason sold",
    "allod shares burn northfield/digits --units 100 --reason spoiled --as bay",
    "allod shares export northfield/digits --format ocf --at 12",
    "allod shares export northfield/digits --format csv --history",
    "allod shares export northfield/digits --format ocf --individual bay",
    "allod deed shares northfield/digits bay -o bay.deed",
    "allod deed shares northfield/digits bay -o bay.deed --checkpoint 120",
    "allod deed version northfield/digits@v1 -o v1.deed",
    "allod deed licence northfield/digits coast -o coast.deed",
    "allod deed decision 5f0c3a -o decision.deed",
    "allod deed attestation northfield/digits@v1 --statement bias-audit --by bay -o audit.deed",
    "allod verify bay.deed --genesis genesis.json",
    "allod verify bay.deed --genesis genesis.json --checkpoint 120:ID --max-age 7d",
    "allod propose release northfield/digits@v1 --as bay",
    "allod propose release northfield/digits@v1 --as bay --dry-run",
    "allod propose deprecate northfield/digits@v1 --reason superseded --as bay",
    "allod propose suspend-version northfield/digits@v1 --reason unsafe --as bay",
    "allod propose lift-suspension northfield/digits@v1 --reason mended --as bay",
    "allod stop northfield/digits@v1 --reason unsafe --as bay",
    "allod stop northfield/digits@v1 --reason mistaken --take-back --as bay",
    "allod stops northfield/digits",
    "allod fetch northfield/digits@v1 --despite withdrawn --despite deprecated",
    "allod propose withdraw-version northfield/digits@v1 --reason unsafe --as bay",
    "allod propose claim-lineage bay/digits@v2 --parent northfield/digits@v1 --as bay",
    "allod propose licence northfield/digits --spdx Apache-2.0 --as bay",
    "allod propose distribution northfield/digits --readers licensees --copies 3 --as bay",
    "allod propose grant-licence northfield/digits coast --for 365d --as bay",
    "allod propose revoke-licence northfield/digits coast --reason unpaid --as bay",
    "allod peer consent bay --data /srv/allod",
    "allod peer bind --as bay",
    "allod peer release 12D3KooWL9qHw5HPPnhe4AHhcjd9NtcpccStinDiiEC6JRW3TqcH --as bay",
    "allod peer list bay",
    "allod model licensees northfield/digits",
    "allod licence ask northfield/digits --for 365d --text clinic --as coast",
    "allod licence withdraw northfield/digits --as coast",
    "allod licence accept northfield/digits --decision 0a1b2c3d4e5f60718293a4b5c6d7e8f9 --as coast",
    "allod licence decline northfield/digits --as coast",
    "allod licence give-up northfield/digits --as coast",
    "allod licence list coast",
    "allod licence requests northfield/digits",
    "allod licence requests --by coast",
    "allod licence history northfield/digits coast",
    "allod propose grant-licence northfield/digits coast --for 365d --spdx MIT --as bay",
    "allod propose grant-licence northfield/digits coast --as-asked --as bay",
    "allod model create digits --as a --holder a=1000 --readers holders --copies 3",
    "allod propose licence northfield/digits --terms terms.txt --as bay",
    "allod propose mint northfield/digits --to bay --units 50 --reason work --vesting 1460d --cliff 365d --as bay",
    "allod propose burn northfield/digits --from bay --units 50 --cause withdrawn-data --as northfield",
    "allod propose expropriate northfield/digits --from bay --units 50 --cause broken-contract --as northfield",
    "allod propose transfer northfield/digits --to coast --units 50 --price 900-EUR --reason sold --as bay",
    "allod propose accept-control northfield/digits bay --as coast",
    "allod propose accept-control northfield/digits bay --key 3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29 --threshold 1 --weight 3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29=2 --as bay",
    "allod propose policy northfield/digits --change-of-control approval --as bay",
    "allod propose round northfield/digits --plan ID --budget 1000 --weight data=1 --weight compute=2 --as bay",
    "allod propose round bay/digits --plan ID --budget 9 --weight data=1 --cap 40 --min-contributors 2 --recording 1d --review 1d --sealed --as a",
    "allod propose resolve-dispute ID --uphold --as bay",
    "allod propose stewards northfield/digits --steward bay --steward coast --as bay",
    "allod propose retire northfield/digits --reason replaced --as bay",
    "allod propose statement northfield/digits --title t --text u --as bay",
    "allod propose statement --network --title t --as operator-0",
    "allod propose mint northfield/digits --to bay --units 5 --reason data --as bay --then burn northfield/digits --from bay --units 5 --cause x --then statement northfield/digits",
    "allod propose remove-member bay --reason lost --as operator-0",
    "allod silence call bay --model northfield/digits --as operator-0",
    "allod silence answer --network --as bay",
    "allod silence list --network",
    "allod leave --as bay",
    "allod proposals withdraw 4f1c --reason early --as bay",
    "allod propose mint northfield/digits --to bay --units 50 --reason data --as bay --title t --text u",
    "allod propose policy northfield/digits --quorum 40 --as bay",
    "allod propose admit-validator --key ID --power 1 --operator bay --as operator-0",
    "allod propose policy northfield/digits --template open-community --as bay",
    "allod propose policy northfield/digits --policy rules.toml --timelock 1d --guardian bay --transfers locked --as bay",
    "allod propose reweight-validator --key ID --power 2 --as operator-0",
    "allod propose remove-validator --key ID --as operator-0",
    "allod propose admit-member bay --as operator-0",
    "allod propose grant-quota bay --quota 10 --as operator-0",
    "allod propose suspend bay --reason spam --as operator-0",
    "allod propose reinstate bay --as operator-0",
    "allod propose parameters --set heartbeat_ms=30000 --set policy.upgrade.quorum=7500 --as operator-0",
    "allod propose parameters --file parameters.json --as operator-0",
    "allod propose upgrade --height 10000 --protocol 2 --release 0.2.0 --as operator-0",
    "allod proposals",
    "allod proposals northfield/digits",
    "allod proposals --network",
    "allod proposals show ID",
    "allod proposals wait 5f0c3a --timeout 60",
    "allod proposals withdraw ID --as bay",
    "allod proposals execute ID --as bay",
    "allod proposals cancel ID --reason premature --as bay",
    "allod vote ID yes --as bay --sign-with bay",
    "allod vote ID veto --as bay",
    "allod vote ID --split yes=60,no=40 --as bay",
    "allod rounds northfield/digits",
    "allod rounds northfield/digits --number 0",
    "allod dispute line northfield/digits coast --units 5 --bond 3 --text t --evidence ID --as bay",
    "allod dispute version northfield/digits@v1 --text t --as bay",
    "allod dispute contribution ID --text t --as bay",
    "allod dispute answer ID --text t --as coast",
    "allod dispute rule ID --lift --reasons r --as bay",
    "allod dispute appeal ID --text t --as coast",
    "allod dispute withdraw ID --as bay",
    "allod dispute list northfield/digits",
    "allod dispute show ID",
    "allod incident report northfield/digits@v1 --text t --evidence ID --as bay",
    "allod incident update ID --status investigating --responsible bay --text t --as bay",
    "allod incident answer ID --text t --evidence ID --as bay",
    "allod incident list northfield/digits",
    "allod incident show ID",
    "allod approvals list bay",
    "allod approvals show ID",
    "allod approvals sign ID --as bay --sign-with a",
    "allod approvals drop ID --as bay",
    "allod recovery set --guardian northfield --guardian coast --needed 2 --delay 7d --as bay",
    "allod recovery clear --as bay",
    "allod recovery seek bay --key ID --as coast",
    "allod recovery cancel --as bay",
    "allod recovery show bay",
    "allod recovery guarded coast",
    "allod office list bay",
    "allod shares take northfield/digits --as bay",
    "allod shares take --any --forget --as bay",
    "allod shares refuse --any --as bay",
    "allod shares intake bay",
    "allod shares issues northfield/digits",
    "allod shares take-up northfield/digits 3 --units 25 --as bay",
    "allod shares consent ID --as bay",
    "allod shares consent ID --take-back --as bay",
    "allod shares accept ID --as bay",
    "allod shares accept ID --decline --as bay",
    "allod office accept --steward northfield/digits --as bay",
    "allod office accept --all-of northfield/digits --as bay",
    "allod office accept --attester northfield/digits:reviewer --as bay",
    "allod office accept --validator ID --data /srv/allod --as bay",
    "allod office resign --keys-of coast --as bay",
    "allod office resign --incident ID --as bay",
    "allod office agree bay --data /srv/allod",
    "allod vote ID yes --as bay --request-approval 7d",
    "allod delegate northfield/digits --to bay --for 90d --as coast",
    "allod delegate northfield/digits --end --as coast",
    "allod delegations northfield/digits",
    "allod attest northfield/digits@v1 --statement bias-audit --passed --evidence ID --note fine --as bay",
    "allod attest northfield/digits@v1 --statement bias-audit --failed --as bay",
    "allod attest northfield/digits@v1 --statement bias-audit --withdraw --note retested --as bay",
    "allod attestations northfield/digits@v1",
    "allod lineage northfield/digits@v1",
    "allod lineage northfield/digits@v1 --up --depth 3",
    "allod lineage northfield/digits@v1 --down",
    "allod status --api http://127.0.0.1:7650",
    "allod network",
    "allod network members --all",
    "allod network validators",
    "allod inbox bay",
    "allod inbox bay --limit 5 --json",
    "allod peers",
    "allod watch --json",
    "allod block 12",
    "allod block latest",
    "allod transaction ID",
    "allod artifacts list",
    "allod artifacts show northfield/digits@v1",
    "allod artifacts verify",
    "allod artifacts verify northfield/digits@v1 --repair",
    "allod artifacts pin northfield/digits@1.0",
    "allod artifacts unpin northfield/digits@1.0",
    "allod artifacts gc --dry-run",
    "allod fetch northfield/digits@1.0 -o out --include *.safetensors --include weights/",
    "allod artifacts providers northfield/digits@v1",
    "allod artifacts copies",
    "allod bench --rate 500 --duration 60s --accounts 16 --api http://127.0.0.1:7640 --api http://127.0.0.1:7650 --as operator-0",
    "allod bench --as operator-0 --action transfer --in-flight 4096",
];

fn parse(line: &str) -> Result<Cli, clap::Error> {
    let id = "ab".repeat(32);
    let filled =
        |word: &str| if word == "ID" || word.ends_with(":ID") { word.replace("ID", &id) } else { word.to_owned() };
    Cli::try_parse_from(line.split(' ').map(filled))
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_example_is_understood() {
    for example in EXAMPLES {
        if let Err(error) = parse(example) {
            panic!("{example}\n{error}");
        }
    }
}

#[test]
fn a_contribution_without_a_subcommand_is_one_to_record() {
    let cli = parse("allod contribute northfield/digits --as bay --kind data --amount 12").expect("understood");
    assert!(format!("{cli:?}").contains("record: Some("), "{cli:?}");
}

#[test]
fn every_command_has_an_example() {
    fn walk(command: &clap::Command, path: &str) {
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            let path = format!("{path} {}", sub.get_name());
            assert!(EXAMPLES.iter().any(|example| format!("{example} ").starts_with(&format!("{path} "))), "{path}");
            walk(sub, &path);
        }
    }
    walk(&Cli::command(), "allod");
}

#[test]
fn what_is_wrong_is_refused_before_anything_is_asked() {
    for wrong in [
        "allod model create digits --as a",
        "allod vote ID maybe --as a",
        "allod vote 12 yes --as a",
        "allod vote proposal yes --as a",
        "allod shares transfer bay/digits --to c --units -1 --reason x --as a",
        "allod propose release northfield/digits --as bay",
        "allod fetch digits",
        "allod propose round bay/digits --plan ID --budget 5 --as a",
        "allod dispute line bay/digits c --units 0 --text t --as a",
        "allod dispute rule ID --as a",
        "allod incident update ID --status fine --text t --as a",
        "allod recovery set --needed 1 --as a",
        "allod vote ID --as a",
        "allod vote ID yes --split yes=100 --as a",
        "allod vote ID --split yes --as a",
        "allod delegate bay/digits --as a",
        "allod delegate bay/digits --to b --end --as a",
        "allod delegate bay/digits --end --for 1d --as a",
        "allod attest bay/digits@v --statement x --as a",
        "allod attest bay/digits@v --statement x --passed --failed --as a",
        "allod lineage bay/digits@v --up --down",
        "allod shares burn bay/digits --units 0 --reason x --as a",
        "allod shares export bay/digits",
        "allod propose licence bay/digits --spdx Apache --as a",
        "allod propose licence bay/digits --spdx MIT --terms x --as a",
        "allod propose mint bay/digits --to c --units 0 --reason x --as a",
        "allod propose mint bay/digits --to c --units 1 --reason x --cliff 1d --as a",
        "allod propose policy bay/digits --template mine --as a",
        "allod propose policy bay/digits --template founder-led --policy f --as a",
        "allod propose stewards bay/digits --as a",
        "allod propose statement bay/digits --network --as a",
        "allod propose parameters --as a",
        "allod propose grant-quota bay --quota 0 --as a",
        "allod policy explain",
        "allod policy explain bay/digits --template founder-led",
        "allod publish x --model digits --version v1 --as a",
        "allod testnet init --nodes 0 --output x",
        "allod proposals northfield/digits --network",
        "allod contribute northfield/digits --kind love --amount 1 --as a",
        "allod bench --rate 0 --as a",
        "allod verify a.deed --genesis g --checkpoint 120",
        "allod verify a.deed --genesis g --checkpoint 120:ab",
        "allod verify a.deed --genesis g --max-age 7",
        "allod deed shares bay/digits coast",
        "allod deed attestation bay/digits@v1 --statement x -o a.deed",
    ] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn help_fits_and_names_the_exit_codes() {
    let help = Cli::command().render_help().to_string();
    assert!(help.contains("4  a rule of the ledger rejects the transaction"), "{help}");
    for line in help.lines() {
        assert!(line.chars().count() <= 120, "{line}");
    }
}

#[test]
fn exit_codes_follow_the_failure_whatever_stands_around_it() {
    use anyhow::Context as _;
    let unreachable = Failure::new(Exit::Unreachable, "gone");
    let error = Err::<(), _>(anyhow::Error::from(unreachable)).context("while asking").unwrap_err();
    assert_eq!(exit_of(&error), Exit::Unreachable);
    assert_eq!(exit_of(&anyhow::anyhow!("anything else")), Exit::Failed);
    let code_of = |error: &anyhow::Error| {
        let told: serde_json::Value = serde_json::from_str(&in_json(error)).unwrap();
        told["code"].as_str().unwrap().to_owned()
    };
    assert_eq!((code_of(&error).as_str(), in_json(&error).contains("while asking")), ("unreachable", true));
    let rejected = signing::as_rejection(Problem::new(StatusCode::CONFLICT, "replayed", "it was executed").into());
    assert_eq!(code_of(&rejected), "replayed");
    assert_eq!(code_of(&Problem::not_found("unknown_model", "no").into()), "unknown_model");
    assert_eq!(code_of(&anyhow::anyhow!("anything else")), "failed");
    let pipe = anyhow::Error::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
    assert!(is_broken_pipe(&pipe));
}
