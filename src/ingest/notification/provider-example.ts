/** The request on the page "Notification for Workflow List Completion" of AI Rudder. */
export const PROVIDER_EXAMPLE = {
  case_id: 'test-caseid11',
  callee_number: '+62123456',
  workflow_id: '707c2a72791f4fcd9890120ccfe52983',
  workflow_name: 'test-544-0001',
  rows: [
    {
      nodetask_id: '300e4513a8a44567a933f893cee2b637',
      task_id: '1fe46b87ee3eb19b6e59fcacc4c66446',
      nodetask_name: 'Voicebot Call1',
      node_type: 'call',
    },
    { nodetask_id: '303e0168c6374a82bff89b6c4bd0ccfa', nodetask_name: 'SMS1', node_type: 'sms' },
    { nodetask_id: 'd734467d7ee74365a36b3b14493d13a3', nodetask_name: 'Mail1', node_type: 'email' },
  ],
};
